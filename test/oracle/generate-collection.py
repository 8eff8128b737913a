"""Collections made by the real Anki, and what the real Anki makes of them.

  generate KIND SEED OUT      a collection of schema 18. KIND: plain | natural | random | big
  downgrade IN OUT            OUT is IN after Anki's own close(downgrade=True): schema 11
  as-schema VERSION IN OUT    OUT is IN (schema 18) taken back to schema 14, 15, 16 or 17
  dump IN                     opens a copy in Anki (which upgrades it) and prints its objects as JSON
  describe                    prints the fields of Anki's own protobuf messages as JSON

plain: as a new profile has it. natural: everything through Anki's own calls.
random: also rows that only hand-made blobs can hold. big: many objects.
"""

import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile

from anki.collection import Collection
from anki.deck_config_pb2 import DeckConfig
from anki.decks_pb2 import Deck
from anki.notetypes_pb2 import Notetype, StockNotetype

I64 = 2**63
WORDS = ["Ä", "ä", "ß", "SS", "İ", "i̇", "ﬁ", "naïve"]
WORDS += ["Ωμέγα", "日本語", "🃏", "e\u0301", "\ufeffbom", "a\"b\\c", "tab\there", "plain"]
STOCK_KINDS = [StockNotetype.KIND_BASIC, StockNotetype.KIND_CLOZE, StockNotetype.KIND_IMAGE_OCCLUSION]


# Random values ########################################################


def text(rng):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 4)))


def some_int(rng):
    return rng.choice([0, 1, -1, 2**53 + 1, -(2**53) - 1, I64 - 1, -I64, 2**64 - 1, rng.randint(-I64, I64 - 1), rng.randint(0, 99)])


def some_json(rng, depth=0):
    kinds = ["int", "float", "str", "bool", "null"] + ([] if depth > 2 else ["list", "dict"])
    kind = rng.choice(kinds)
    if kind == "int":
        return some_int(rng)
    if kind == "float":
        return rng.choice([1.0, 0.5, -2.25, 1e-7, 1e30, 123456.75])
    if kind == "str":
        return text(rng)
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "null":
        return None
    if kind == "list":
        return [some_json(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {text(rng) + str(n): some_json(rng, depth + 1) for n in range(rng.randint(0, 3))}


def unknown_keys(rng):
    keys = {f"x{n} {text(rng)}": some_json(rng) for n in range(rng.randint(0, 4))}
    if rng.random() < 0.3:
        keys["__proto__"] = {"a": 2**63 - 1}
    if rng.random() < 0.3:
        keys["7"] = "a key like an index"
    return keys


# Keys that Anki drops because it writes them itself
RESERVED = """
    id name type mod usn sortf did tmpls flds css latexPre latexPost latexsvg req originalStockKind originalId
    ord sticky rtl font size description plainText collapsed excludeFromSearch tag preventDeletion
    qfmt afmt bqfmt bafmt bfont bsize
    lrnToday revToday newToday timeToday browserCollapsed desc dyn
    conf extendNew extendRev reviewLimit newLimit reviewLimitToday newLimitToday desiredRetention
    maxTaken autoplay timer replayq newMix newPerDayMinimum interdayLearningMix reviewOrder newSortOrder newGatherPriority
    buryInterdayLearning fsrsWeights fsrsParams5 fsrsParams6 ignoreRevlogsBeforeDate easyDaysPercentages stopTimerOnAnswer
    secondsToShowQuestion secondsToShowAnswer questionAction answerAction waitForAudio sm2Retention weightSearch
""".split()
RESERVED_PARTS = "bury delays initialFactor ints order perDay ease4 ivlFct maxIvl hardFactor leechAction leechFails minInt mult".split()


def other_blob(rng):
    if rng.random() < 0.3:
        return b""
    if rng.random() < 0.1:
        deep = b"[" * 200 + b"]" * 200
        return rng.choice([b"not json", b"[1]", b'{"a":1', b'"text"', b'{"a":"\\ud800"}', b'{"a":1e999}', b'{"a":"\xff"}', deep])
    keys = unknown_keys(rng)
    for key in rng.sample(RESERVED, 12):
        keys[key] = some_json(rng)
    for part in ("new", "rev", "lapse"):
        if rng.random() < 0.5:
            reserved = {key: some_json(rng) for key in rng.sample(RESERVED_PARTS, 4)}
            keys[part] = rng.choice([{**unknown_keys(rng), **reserved}, {**unknown_keys(rng), **reserved}, 7])
    return json.dumps(keys, ensure_ascii=rng.random() < 0.5).encode()


def some_float(rng):
    usual = [0.0, 1.0, 0.9, 0.1, 1.3, 1.31, 2.5, 4.9999, 1e-7, 3.4e38, 16777216.0, 0.333333]
    return rng.choice([*usual, rng.uniform(0, 5), rng.uniform(0.7, 0.97)])


def some_value(rng, field):
    t = field.type
    if t == field.TYPE_BOOL:
        return rng.random() < 0.5
    if t == field.TYPE_FLOAT:
        return some_float(rng)
    if t == field.TYPE_STRING:
        return text(rng)
    if t == field.TYPE_INT64:
        return rng.choice([0, 1, rng.randint(-I64, I64 - 1), rng.randint(0, 2**41)])
    if t == field.TYPE_UINT32:
        return rng.choice([0, 1, 20, 9999, 10000, 36500, 36501, 2**31, 2**32 - 1, rng.randint(0, 9999)])
    if t == field.TYPE_INT32:
        return rng.choice([0, 1, -1, 2**31 - 1, -(2**31), rng.randint(0, 9999)])
    if t == field.TYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    raise ValueError(field)


def fill(rng, message):
    """Sets each field of a message at random, however many Anki's own description has."""
    for field in message.DESCRIPTOR.fields:
        if field.name == "other":
            message.other = other_blob(rng)
        elif isinstance(getattr(message, field.name), (int, float, str, bytes, bool)):
            if rng.random() < 0.8:
                setattr(message, field.name, some_value(rng, field))
        elif field.message_type is None:
            getattr(message, field.name).extend(some_value(rng, field) for _ in range(rng.randint(0, 21)))
        elif hasattr(getattr(message, field.name), "add"):
            for _ in range(rng.randint(0, 3)):
                fill(rng, getattr(message, field.name).add())
        elif field.containing_oneof is None and rng.random() < 0.6:
            getattr(message, field.name).SetInParent()
            fill(rng, getattr(message, field.name))
    return message


# Kinds of collections #################################################


def add_natural(col, rng):
    """What users and add-ons do, through Anki's own calls."""
    for kind in STOCK_KINDS:
        nt = json.loads(col._backend.get_stock_notetype_legacy(kind))
        nt["name"] = f"stock {kind} {text(rng)}"
        col.models.add_dict(nt)
    basic = json.loads(col._backend.get_stock_notetype_legacy(StockNotetype.KIND_BASIC))
    for n in range(6):
        nt = json.loads(json.dumps(basic))
        css = ".card { color: red }\n" + text(rng)
        nt.update(name=f"custom {n} {WORDS[n]}", css=css, latexsvg=n % 2 == 0, sortf=n % 2, **unknown_keys(rng))
        nt["flds"].append({**nt["flds"][1], "name": f"Extra {WORDS[-n - 1]}"})
        for i, field in enumerate(nt["flds"]):
            field.update(
                id=rng.randint(-I64, I64 - 1), sticky=i == 0, rtl=i == 1, font="Ωμέγα", size=12 + n,
                description=text(rng), plainText=i == 2, collapsed=n == 1, excludeFromSearch=n == 2,
                preventDeletion=n == 3, tag=rng.choice([None, 3]), **unknown_keys(rng),
            )
        for template in nt["tmpls"]:
            template.update(
                id=rng.randint(-I64, I64 - 1), did=rng.choice([None, 1]), bqfmt="{{Front}}", bafmt="{{Back}}",
                bfont="Arial", bsize=11, **unknown_keys(rng),
            )
        col.models.add_dict(nt)

    for n in range(5):
        conf = col.decks.add_config(f"preset {WORDS[n]}")
        conf["new"].update(delays=[1.0, 10.0, 0.5], initialFactor=[1310, 1300, 2500, 2345, 1350][n], perDay=n, **unknown_keys(rng))
        conf["rev"].update(ease4=1.3, hardFactor=1.2, ivlFct=0.9, **unknown_keys(rng))
        conf["lapse"].update(mult=0.7, delays=[10.0], leechAction=n % 2, **unknown_keys(rng))
        conf.update(unknown_keys(rng))
        conf["desiredRetention"] = [0.9, 0.85, 0.97, 0.7, 0.8123][n]
        conf["easyDaysPercentages"] = [1.0, 0.5, 0.0, 1.0, 1.0, 0.5, 1.0]
        key, length = [("fsrsWeights", 17), ("fsrsParams5", 19), ("fsrsParams6", 21)][n % 3]
        conf[key] = [round(rng.uniform(0, 5), 4) for _ in range(length)]
        conf.update(ignoreRevlogsBeforeDate="2020-02-02", weightSearch="is:due -is:suspended")
        conf.update(secondsToShowQuestion=2.5, answerAction=n % 5)
        col.decks.update_config(conf)

    confs = col.decks.all_config()
    for n, word in enumerate(WORDS):
        try:
            did = col.decks.id(f"{word}::child {n}::grandchild {text(rng)}")
        except Exception as error:
            print(f"deck {word!r}: {error}", file=sys.stderr)
            continue
        deck = col.decks.get(did)
        deck.update(desc=f"<b>{text(rng)}</b>", md=n % 2 == 0, conf=rng.choice(confs)["id"], extendNew=n, extendRev=n * 2, **unknown_keys(rng))
        deck.update(reviewLimit=rng.choice([None, n]), newLimit=rng.choice([None, 10]), desiredRetention=rng.choice([None, 70 + n]))
        deck.update(reviewLimitToday=rng.choice([None, {"limit": n, "today": 3}]), newLimitToday={"limit": 5, "today": 9999})
        deck.update(newToday=[3, n], revToday=[3, n], timeToday=[3, n * 1000], collapsed=n % 3 == 0, browserCollapsed=n % 2 == 0)
        col.decks.update_dict(deck)
    low_ease_deck = col.decks.id("low ease")
    deck = col.decks.get(low_ease_deck)
    deck["conf"] = next(conf["id"] for conf in confs if conf["name"] == "preset ä")
    col.decks.update_dict(deck)
    # a child without its parent, which old clients left behind
    orphan = col.decks.id("gone::orphan")
    parent = col.decks.id_for_name("gone")
    if parent and parent != orphan:
        col.db.execute("delete from decks where id = ?", parent)
    for pair in (("Ä clash", "ä clash"), ("ß clash", "SS clash"), ("İ clash", "i̇ clash")):
        for name in pair:
            deck = col.decks.new_deck_legacy(False)
            deck["name"] = name
            col.decks.save(deck) if deck["id"] else col._backend.add_deck_legacy(json.dumps(deck).encode())

    decks = [d.id for d in col.decks.all_names_and_ids()]
    notetypes = [col.models.get(nt.id) for nt in col.models.all_names_and_ids()]
    for n in range(60):
        nt = rng.choice(notetypes)
        note = col.new_note(nt)
        for i in range(len(note.fields)):
            note.fields[i] = f"{{{{c1::{text(rng)}}}}} <img src=\"ä{n}.png\"> {n}"
        note.tags = [f"tag{rng.randint(0, 9)}::{WORDS[rng.randint(0, 3)]}", "naïve"]
        col.add_note(note, rng.choice(decks))
    cards = list(col.find_cards(""))
    for n, flag in enumerate([1, 2, 7]):
        col.set_user_flag_for_cards(flag, cards[n : n + 2])
    card = col.get_card(cards[0])
    card.custom_data = '{"a":1,"s":"x"}'
    col.update_card(card)
    for _ in range(10):
        queued = col.sched.get_queued_cards()
        if not queued.cards:
            break
        card = col.get_card(queued.cards[0].card.id)
        card.start_timer()
        states = col._backend.get_scheduling_states(card.id)
        col.sched.answer_card(col.sched.build_answer(card=card, states=states, rating=3))
    col.sched.set_due_date(cards[:8], "1-9")
    # low eases in a deck whose preset starts at 130 %, as clients of schema 15 left them
    col.db.execute("update cards set factor = 1400, did = ? where id % 5 = 0", low_ease_deck)
    col.set_config("fsrs", True)
    for order in (0, 5, 8, 10):
        deck = col.sched.get_or_create_filtered_deck(0)
        deck.name = f"filtered {order} {text(rng)}"
        deck.allow_empty = True
        del deck.config.search_terms[:]
        deck.config.search_terms.add(search="is:new" if order else "is:review", limit=5, order=order)
        deck.config.search_terms.add(search="is:due \"ä\"", limit=2**31 - 1, order=1)
        deck.config.reschedule = order == 5
        deck.config.preview_again_secs, deck.config.preview_hard_secs, deck.config.preview_good_secs = 60, 600, 0
        col.sched.add_or_update_filtered_deck(deck)

    col.remove_notes(col.find_notes("tag:tag3*"))
    doomed = col.decks.id("doomed")
    col.decks.remove([doomed])
    for key, value in unknown_keys(rng).items():
        col.set_config(key, value)
    col.set_config("lossless", [2**63 - 1, -(2**63), 2**64 - 1, 1.0, 1e-7])
    col._backend.set_tag_collapsed(name="tag1", collapsed=False)


def attempt(col, sql, *args):
    """Names that unicase holds for equal are refused by the index; the next one will do."""
    try:
        col.db.execute(sql, *args)
        return True
    except Exception as error:
        assert "UNIQUE" in str(error) or "Unique" in str(error), error
        return False


def add_random(col, rng, count=40):
    for n in range(count):
        ident = rng.choice([n + 1000, 1700000000000 + n, -n - 5, I64 - 1 - n])
        mtime, usn = rng.choice([0, 1700000000, -1, I64 - 1]), rng.choice([-1, 0, 2**31 - 1])
        name = f"{text(rng)} {n}"
        nt = fill(rng, Notetype.Config())
        if attempt(col, "insert or abort into notetypes values (?,?,?,?,?)", ident, name, mtime, usn, list(nt.SerializeToString())):
            for ord in rng.sample(range(70), rng.randint(0, 4)):
                blob = fill(rng, Notetype.Field.Config()).SerializeToString()
                attempt(col, "insert into fields values (?,?,?,?)", ident, ord, f"{text(rng)} {ord}", list(blob))
                blob = fill(rng, Notetype.Template.Config()).SerializeToString()
                attempt(col, "insert into templates values (?,?,?,?,?,?)", ident, ord, f"{text(rng)} {ord}", 0, 0, list(blob))
        common = fill(rng, Deck.Common())
        kind = Deck.KindContainer()
        fill(rng, kind.normal if rng.random() < 0.6 else kind.filtered)
        kind.normal.SetInParent() if kind.WhichOneof("kind") is None else None
        name = "\x1f".join(f"{text(rng)} {n}" for _ in range(rng.randint(1, 3)))
        blobs = [list(common.SerializeToString()), list(kind.SerializeToString())]
        attempt(col, "insert into decks values (?,?,?,?,?,?)", ident, name, mtime, usn, *blobs)
        conf = fill(rng, DeckConfig.Config())
        attempt(col, "insert into deck_config values (?,?,?,?,?)", ident, f"{text(rng)} {n}", mtime, usn, list(conf.SerializeToString()))
        attempt(col, "insert into tags values (?,?,?,?)", f"{text(rng)}::{n}".replace(" ", ""), usn, rng.randint(0, 1), None)
        value = json.dumps(some_json(rng), ensure_ascii=n % 2 == 0)
        attempt(col, "insert into config values (?,?,?,?)", f"{n} {text(rng)}", usn, 0, list(value.encode()))
        attempt(col, "insert into graves values (?,?,?)", rng.randint(-I64, I64 - 1), rng.randint(0, 2), usn)


def add_bounds(col):
    """Presets on both sides of the bounds that Anki sets to their numbers."""
    floats = [bound * factor for bound in (0.5, 0.7, 0.97, 0.99, 1.0, 1.3, 1.31, 2.0, 5.0) for factor in (0.999, 1, 1.001)] + [0.0, -0.1]
    ints = [0, 1, 2, 9998, 9999, 10000, 36499, 36500, 36501, 65535, 65536, 2**32 - 1]
    for n, value in enumerate(floats):
        conf = DeckConfig.Config()
        for field in conf.DESCRIPTOR.fields:
            if not is_repeated(field) and field.type in (field.TYPE_FLOAT, field.TYPE_UINT32):
                setattr(conf, field.name, value if field.type == field.TYPE_FLOAT else ints[n % len(ints)])
        col.db.execute("insert into deck_config values (?,?,?,?,?)", 500 + n, f"bound {n}", 0, 0, list(conf.SerializeToString()))


def add_big(col, rng):
    def copies(table, count, columns, row):
        rows = []
        for n in range(count):
            rows.append(row(n))
        marks = ",".join("?" * columns)
        col.db.executemany(f"insert into {table} values ({marks})", rows)

    nt = list(fill(rng, Notetype.Config()).SerializeToString())
    field = list(Notetype.Field.Config(font_name="Arial", font_size=20, id=-7290854878769846350).SerializeToString())
    template = list(Notetype.Template.Config(q_format="{{a}}", a_format="{{b}}", id=7290854878769846350).SerializeToString())
    common = list(Deck.Common(study_collapsed=True, other=b'{"addon":7290854878769846350}').SerializeToString())
    kind = list(Deck.KindContainer(normal=Deck.Normal(config_id=1, description="d" * 80)).SerializeToString())

    def everything():
        copies("notetypes", 500, 5, lambda n: [n + 10**12, f"nt Ä{n}", 1, 0, nt])
        copies("fields", 1500, 4, lambda n: [n // 3 + 10**12, n % 3, "abc"[n % 3], field])
        copies("templates", 1000, 6, lambda n: [n // 2 + 10**12, n % 2, "ab"[n % 2], 0, 0, template])
        copies("decks", 5000, 6, lambda n: [n + 10**12, f"top{n % 50}\x1fdeck ä{n}", 1, 0, common, kind])
        copies("tags", 50000, 4, lambda n: [f"tag{n % 100}::Ä{n}", 0, n % 2, None])
        copies("config", 1000, 4, lambda n: [f"_nt_{n}", 0, 0, list(b"[1.0, 2]")])

    col.db.transact(everything)


def generate(kind, seed, out):
    rng = random.Random(f"{kind} {seed}")
    col = Collection(out)
    if kind == "big":
        add_big(col, rng)
    elif kind != "plain":
        add_natural(col, rng)
        if kind == "random":
            add_random(col, rng)
            add_bounds(col)
    col.close()


# What Anki makes of a file ############################################


def downgrade(source, out):
    shutil.copyfile(source, out)
    Collection(out).close(downgrade=True)


def as_schema(version, source, out):
    """Backwards through the steps of Anki's `storage/upgrades`."""
    legacy = out + ".11"
    if version == 14:
        downgrade(source, legacy)
    shutil.copyfile(source, out)
    col = Collection(out)
    run = col.db.execute
    col.db._backend.db_begin()
    run("drop index idx_graves_pending")
    run("alter table graves rename to graves_old")
    run("create table graves (usn integer not null, oid integer not null, type integer not null)")
    run("insert into graves (usn, oid, type) select usn, oid, type from graves_old")
    run("drop table graves_old")
    if version < 17:
        run("alter table tags rename to tags_old")
        run("create table tags (tag text not null primary key COLLATE unicase, usn integer not null) without rowid")
        run("insert into tags select tag, usn from tags_old")
        run("drop table tags_old")
    if version == 15:
        for ident, blob in run("select id, config from deck_config"):
            conf = DeckConfig.Config.FromString(bytes(blob))
            conf.initial_ease *= 100
            run("update deck_config set config = ? where id = ?", list(conf.SerializeToString()), ident)
    if version == 14:
        for table in ("fields", "templates", "notetypes", "decks"):
            run(f"drop table {table}")
        run("drop index idx_cards_odid")
        run("drop index idx_notes_mid")
        old = sqlite3.connect(legacy)
        models, decks, dconf = old.execute("select models, decks, dconf from col").fetchone()
        old.close()
        os.unlink(legacy)
        run("update col set models = ?, decks = ?", models, decks)
        for ident, conf in json.loads(dconf).items():
            run("update deck_config set config = ? where id = ?", list(json.dumps(conf).encode()), int(ident))
    run("update col set ver = ?", version)
    col.db._backend.db_commit()
    col.close()


def message_of(cls, blob):
    """Field by field; `other` as JSON, whose order of keys is not stable."""
    def plain(message):
        out = {}
        for field, value in message.ListFields():
            if field.name == "other":
                try:
                    value = json.loads(value)
                except ValueError:
                    value = value.decode("latin-1")
            elif isinstance(value, bytes):
                value = value.decode("latin-1")
            elif field.message_type is not None:
                value = [plain(v) for v in value] if hasattr(value, "add") else plain(value)
            elif not isinstance(value, (int, float, str, bool)):
                value = list(value)
            out[field.name] = value
        return out

    return plain(cls.FromString(bytes(blob)))


def dump(source):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "collection.anki2")
        shutil.copyfile(source, path)
        col = Collection(path)
        rows = col.db.all

        def configs(columns, table, order, cls):
            sql = f"select {columns}, config from {table} order by {order}"
            return [[*row[:-1], message_of(cls, row[-1])] for row in rows(sql)]

        result = {
            "ver": col.db.scalar("select ver from col"),
            "notetypes": configs("id, name, mtime_secs, usn", "notetypes", "id", Notetype.Config),
            "fields": configs("ntid, ord, name", "fields", "ntid, ord", Notetype.Field.Config),
            "templates": configs("ntid, ord, name", "templates", "ntid, ord", Notetype.Template.Config),
            "decks": [
                [*r[:4], message_of(Deck.Common, r[4]), message_of(Deck.KindContainer, r[5])]
                for r in rows("select id, name, mtime_secs, usn, common, kind from decks order by id")
            ],
            "deck_config": configs("id, name, mtime_secs, usn", "deck_config", "id", DeckConfig.Config),
            "tags": rows("select tag, usn from tags order by tag"),
            "config": [[key, json.loads(bytes(value))] for key, value in rows("select key, val from config order by key")],
            "graves": rows("select oid, type, usn from graves order by oid, type"),
            "cards": rows("select * from cards order by id"),
            "notes": rows("select * from notes order by id"),
            "revlog": rows("select * from revlog order by id"),
        }
        col.close()
    print(json.dumps(result))


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def describe():
    def fields(descriptor):
        return {
            field.name: [field.number, field.type, is_repeated(field), field.message_type and fields(field.message_type)]
            for field in descriptor.fields
        }

    messages = [Notetype.Config, Notetype.Field.Config, Notetype.Template.Config, Deck.Common, Deck.KindContainer, DeckConfig.Config]
    print(json.dumps([fields(message.DESCRIPTOR) for message in messages]))


if __name__ == "__main__":
    command, *args = sys.argv[1:]
    if command == "generate":
        generate(args[0], args[1], args[2])
    elif command == "downgrade":
        downgrade(args[0], args[1])
    elif command == "as-schema":
        as_schema(int(args[0]), args[1], args[2])
    elif command == "dump":
        dump(args[0])
    elif command == "describe":
        describe()
    else:
        sys.exit(__doc__)
