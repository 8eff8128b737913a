"""What a person does to a collection, through Anki's own API. Each command answers what a scenario needs to go on.

JSON with numbers beyond 2^53 comes and goes as text (`*_json`), since the other side of the pipe would round it.
"""
import json
import time

from anki.collection import AddNoteRequest
from anki.decks import UpdateDeckConfigs
from anki.scheduler.base import FilteredDeckForUpdate

COMMANDS = {}
# those that make objects with new ids
CREATING = {"answer", "deck_options"}


def command(function):
    COMMANDS[function.__name__] = function
    if function.__name__.startswith("add_"):
        CREATING.add(function.__name__)
    return function


def last_id(col):
    tables = ("notes", "cards", "revlog", "decks", "notetypes", "deck_config")
    now = time.time() * 1000
    # ids from a clock that is off do not count
    return max(col.db.scalar(f"select coalesce(max(id), 0) from {table} where id < ?", now + 60_000) for table in tables)


# -- notes and cards


@command
def add_notes(col, count=1, deck="Default", notetype="Basic", prefix="note", tags=(), start=0, fields=None):
    """`fields` for one note, or `count` numbered ones. Ids of the notes."""
    model = col.models.by_name(notetype)
    did = col.decks.id(deck)
    requests = []
    for i in range(start, start + count):
        note = col.new_note(model)
        values = fields or [f"{prefix} {i}"] + [f"{prefix} {i}, field {n} <b>bold</b>" for n in range(1, len(note.fields))]
        note.fields = values
        note.tags = list(tags)
        requests.append(AddNoteRequest(note, did))
    col.add_notes(requests)
    return [request.note.id for request in requests]


@command
def edit_note(col, id, fields=None, tags=None, later=0):
    note = col.get_note(id)
    if fields is not None:
        note.fields = fields
    if tags is not None:
        note.tags = tags
    col.update_note(note)
    move_stamp(col, "notes", "mod", id, later)


@command
def edit_notes(col, ids, text):
    notes = [col.get_note(id) for id in ids]
    for note in notes:
        note.fields[0] = f"{text} {note.id}"
    col.update_notes(notes)


@command
def note(col, id):
    note = col.get_note(id)
    return {"fields": note.fields, "tags": note.tags, "cards": [card.id for card in note.cards()], "mod": note.mod}


@command
def card(col, id):
    card = col.get_card(id)
    return {"queue": card.queue, "type": card.type, "due": card.due, "did": card.did, "odid": card.odid, "flags": card.flags,
            "reps": card.reps, "customData": card.custom_data}


@command
def find_notes(col, query=""):
    return list(col.find_notes(query))


@command
def find_cards(col, query=""):
    return list(col.find_cards(query))


@command
def counts(col):
    return {table: col.db.scalar(f"select count() from {table}") for table in ("notes", "cards", "revlog", "decks", "notetypes", "tags")}


@command
def sanity_counts(col):
    return {name: col.db.scalar(f"select count() from {table}") for name, table in (
        ("cards", "cards"), ("notes", "notes"), ("revlog", "revlog"), ("notetypes", "notetypes"), ("decks", "decks"), ("presets", "deck_config"))}


@command
def remove_notes(col, ids):
    return col.remove_notes(ids).count


@command
def remove_cards(col, ids):
    return col.remove_cards_and_orphaned_notes(ids).count


@command
def flag(col, ids, color, later=0):
    col.set_user_flag_for_cards(color, ids)
    for id in ids:
        move_stamp(col, "cards", "mod", id, later)


@command
def suspend(col, ids):
    col.sched.suspend_cards(ids)


@command
def bury(col, ids):
    col.sched.bury_cards(ids, manual=True)


@command
def set_due(col, ids, days, later=0):
    col.sched.set_due_date(ids, days)
    for id in ids:
        move_stamp(col, "cards", "mod", id, later)


@command
def set_custom_data(col, id, data):
    card = col.get_card(id)
    card.custom_data = data
    col.update_card(card)


@command
def move_cards(col, ids, deck):
    col.set_deck(ids, col.decks.id(deck))


@command
def answer(col, count, deck=None, eases=(3, 1, 4, 2)):
    """Answers due cards through the scheduler. Ids of the cards."""
    if deck is not None:
        col.decks.select(col.decks.id(deck))
    answered = []
    for i in range(count):
        card = col.sched.getCard()
        if card is None:
            break
        col.sched.answerCard(card, eases[i % len(eases)])
        answered.append(card.id)
        # two answers within a millisecond, which no person gives, would get the highest id and one, however far in the future that is
        time.sleep(0.002)
    return answered


# -- decks


@command
def add_deck(col, name):
    return col.decks.add_normal_deck_with_name(name).id


@command
def rename_deck(col, id, name, later=0):
    col.decks.rename(id, name)
    move_stamp(col, "decks", "mtime_secs", id, later)


@command
def patch_deck(col, id, patch_json, later=0):
    deck = col.decks.get(id)
    deck.update(json.loads(patch_json))
    col.decks.update_dict(deck)
    move_stamp(col, "decks", "mtime_secs", id, later)


@command
def remove_decks(col, ids):
    return col.decks.remove(ids).count


@command
def deck_names(col):
    return {d.name: d.id for d in col.decks.all_names_and_ids()}


@command
def deck_json(col, id):
    return json.dumps(col.decks.get(id), sort_keys=True, ensure_ascii=False)


@command
def add_filtered_deck(col, name, search, limit=100):
    deck = col.sched.get_or_create_filtered_deck(0)
    assert isinstance(deck, FilteredDeckForUpdate)
    deck.name = name
    del deck.config.search_terms[1:]
    deck.config.search_terms[0].search = search
    deck.config.search_terms[0].limit = limit
    deck.config.reschedule = True
    # builds it at once
    return col.sched.add_or_update_filtered_deck(deck).id


@command
def rebuild_filtered_deck(col, id):
    return col.sched.rebuild_filtered_deck(id).count


@command
def empty_filtered_deck(col, id):
    col.sched.empty_filtered_deck(id)


# -- notetypes


@command
def add_notetype(col, name, fields=("Front", "Back"), templates=1, cloze=False):
    model = col.models.new(name)
    if cloze:
        model["type"] = 1
    for field in fields:
        col.models.add_field(model, col.models.new_field(field))
    for i in range(templates):
        template = col.models.new_template(f"Card {i + 1}")
        template["qfmt"] = "{{cloze:%s}}" % fields[0] if cloze else "{{%s}} %d" % (fields[i % len(fields)], i)
        template["afmt"] = template["qfmt"] + "<hr>" + "".join("{{%s}}" % field for field in fields[1:])
        col.models.add_template(model, template)
    return col.models.add_dict(model).id


@command
def patch_notetype(col, id, patch_json, later=0):
    """`{"css": …, "flds.0": {…}, "tmpls.1": {…}}`: keys of the notetype, and of its fields and templates by number."""
    model = col.models.get(id)
    for key, value in json.loads(patch_json).items():
        part, dot, number = key.partition(".")
        if dot:
            model[part][int(number)].update(value)
        else:
            model[key] = value
    col.models.update_dict(model)
    move_stamp(col, "notetypes", "mtime_secs", id, later)


@command
def add_field(col, id, name):
    model = col.models.get(id)
    col.models.add_field(model, col.models.new_field(name))
    col.models.update_dict(model)


@command
def add_template(col, id, name):
    model = col.models.get(id)
    template = col.models.new_template(name)
    template["qfmt"] = "{{%s}} again" % model["flds"][0]["name"]
    template["afmt"] = "{{FrontSide}}"
    col.models.add_template(model, template)
    col.models.update_dict(model)


@command
def remove_notetype(col, id):
    col.models.remove(id)


@command
def notetype_names(col):
    return {n.name: n.id for n in col.models.all_names_and_ids()}


@command
def notetype_json(col, id):
    return json.dumps(col.models.get(id), sort_keys=True, ensure_ascii=False)


# -- presets


@command
def add_preset(col, name):
    return col.decks.add_config_returning_id(name)


@command
def patch_preset(col, id, patch_json, later=0):
    """`{"new.perDay": 7, "rev": {…}}`"""
    preset = col.decks.get_config(id)
    for key, value in json.loads(patch_json).items():
        part, dot, rest = key.partition(".")
        if dot:
            preset[part][rest] = value
        else:
            preset[key] = value
    col.decks.update_config(preset)
    move_stamp(col, "deck_config", "mtime_secs", id, later)


@command
def remove_preset(col, id):
    col.decks.remove_config(id)


@command
def preset_json(col, id):
    return json.dumps(col.decks.get_config(id), sort_keys=True, ensure_ascii=False)


@command
def use_preset(col, deck, preset):
    found = col.decks.get(deck)
    found["conf"] = preset
    col.decks.update_dict(found)


@command
def deck_options(col, deck, name, fsrs=True, params=(), desired_retention=0.87, new_limit=None, new_per_day=17):
    """The deck options screen: a new preset for one deck, FSRS on or off, limits of the deck itself."""
    shown = col.decks.get_deck_configs_for_update(deck)
    request = UpdateDeckConfigs()
    request.target_deck_id = deck
    preset = request.configs.add()
    preset.CopyFrom(shown.defaults)
    preset.id = 0
    preset.name = name
    preset.config.new_per_day = new_per_day
    preset.config.desired_retention = desired_retention
    # not 1.3: Anki itself reads that as 2.5 when it comes over the wire
    preset.config.initial_ease = 1.35
    preset.config.learn_steps[:] = [1.5, 10, 1440]
    preset.config.fsrs_params_6[:] = params
    preset.config.easy_days_percentages[:] = [1, 1, 0.5, 1, 1, 0, 1]
    preset.config.ignore_revlogs_before_date = "2020-01-31"
    preset.config.param_search = "preset:\"x\" -is:suspended"
    request.fsrs = fsrs
    request.card_state_customizer = "customData.good.x = 1;"
    request.new_cards_ignore_review_limit = True
    request.limits.CopyFrom(shown.current_deck.limits)
    if new_limit is not None:
        request.limits.new = new_limit
    col.decks.update_deck_configs(request)
    return col.decks.get(deck)["conf"]


# -- tags and config


@command
def add_tags(col, ids, tags):
    return col.tags.bulk_add(ids, tags).count


@command
def rename_tag(col, old, new):
    return col.tags.rename(old, new).count


@command
def collapse_tag(col, tag, collapsed=True):
    col.tags.set_collapsed(tag, collapsed)


@command
def clear_unused_tags(col):
    return col.tags.clear_unused_tags().count


@command
def all_tags(col):
    return col.tags.all()


@command
def set_config(col, key, value_json):
    col.conf.set(key, json.loads(value_json))


@command
def remove_config(col, key):
    col.conf.remove(key)


@command
def all_config_json(col):
    return json.dumps(col.all_config())


@command
def config_json(col, key):
    return json.dumps(col.conf.get(key), sort_keys=True, ensure_ascii=False)


# -- the clock


@command
def shift_clock(col, seconds):
    """Everything that is still to be sent gets the stamps it would have, had this device's clock been off."""
    for table, column in (("notes", "mod"), ("cards", "mod"), ("decks", "mtime_secs"), ("notetypes", "mtime_secs"), ("deck_config", "mtime_secs")):
        col.db.execute(f"update {table} set {column} = {column} + ? where usn = -1", seconds)
    # the time of the last review, in the card's data
    col.db.execute("update cards set data = json_set(data, '$.lrt', json_extract(data, '$.lrt') + ?)"
                   " where usn = -1 and data like '%\"lrt\"%'", seconds)
    col.db.execute("update revlog set id = id + ? where usn = -1", seconds * 1000)
    col.db.execute("update col set mod = mod + ?", seconds * 1000)


def move_stamp(col, table, column, id, later):
    if later:
        col.db.execute(f"update {table} set {column} = {column} + ? where id = ?", later, id)
