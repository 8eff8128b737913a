"""What a person does to a collection, with everything decided by the plan: which object is a number (`pick`) counted through the
sorted ids, so that the same plan does the same on every server; new objects get ids of the plan where Anki lets us choose, and
clock.py renumbers the rest.
"""
import json
import os

from anki.collection import AddNoteRequest
from anki.decks import UpdateDeckConfigs
from anki.scheduler_pb2 import CardAnswer
from anki.utils import to_json_bytes

ACTIONS = {}


class Nothing(Exception):
    """The collection holds nothing that this could be done to."""


def action(function):
    ACTIONS[function.__name__] = function
    return function


def chosen(col, sql, pick, count=1):
    ids = sorted(col.db.list(sql))
    if not ids:
        raise Nothing()
    return [ids[(pick + i) % len(ids)] for i in range(min(count, len(ids)))]


def pair(col, sql, pick):
    found = chosen(col, sql, pick, 2)
    if len(found) < 2:
        raise Nothing()
    return found


def changed_for_sure(json_object, clock):
    """Anki writes unknown keys in no certain order, and a deck or notetype that comes back unchanged counts as changed if they moved."""
    json_object["xStep"] = clock.step


def normal_deck(col, pick):
    decks = sorted((d.id, d.name) for d in col.decks.all_names_and_ids(include_filtered=False))
    return decks[pick % len(decks)]


def fitting(model, texts):
    """As many fields as the notetype has; a cloze where it wants one."""
    fields = [texts[i % len(texts)] for i in range(len(model["flds"]))]
    if model["type"] == 1:
        fields[0] = "{{c1::%s}} {{c2::x}}" % fields[0].replace("}", "")
    return fields


# -- notes


@action
def add_notes(col, clock, pick, deck, count, texts, tags):
    model = col.models.get(chosen(col, "select id from notetypes", pick)[0])
    requests = []
    for i in range(count):
        note = col.new_note(model)
        note.fields = fitting(model, [f"{text} {i}" if i else text for text in texts])
        note.tags = list(tags)
        requests.append(AddNoteRequest(note, normal_deck(col, deck)[0]))
    col.add_notes(requests)


@action
def edit_note(col, clock, pick, field, text, tags):
    note = col.get_note(chosen(col, "select id from notes", pick)[0])
    note.fields[field % len(note.fields)] = text
    if tags is not None:
        note.tags = list(tags)
    col.update_note(note)


@action
def edit_notes(col, clock, pick, count, text):
    notes = [col.get_note(id) for id in chosen(col, "select id from notes", pick, count)]
    for i, note in enumerate(notes):
        note.fields[-1] = f"{text} {i}"
    col.update_notes(notes)


@action
def remove_notes(col, clock, pick, count):
    col.remove_notes(chosen(col, "select id from notes", pick, count))


@action
def remove_cards(col, clock, pick, count):
    col.remove_cards_and_orphaned_notes(chosen(col, "select id from cards", pick, count))


@action
def change_notetype(col, clock, pick, to):
    """Asks every device for a one-way sync."""
    note = col.get_note(chosen(col, "select id from notes", pick)[0])
    new = chosen(col, "select id from notetypes", to)[0]
    if new == note.mid:
        raise Nothing()
    request = col.models.change_notetype_info(old_notetype_id=note.mid, new_notetype_id=new).input
    request.note_ids.append(note.id)
    col.models.change_notetype_of_notes(request)


# -- tags


@action
def add_tags(col, clock, pick, count, tags):
    col.tags.bulk_add(chosen(col, "select id from notes", pick, count), " ".join(tags))


@action
def remove_tags(col, clock, pick, count, tags):
    col.tags.bulk_remove(chosen(col, "select id from notes", pick, count), " ".join(tags))


@action
def rename_tag(col, clock, pick, name):
    tags = sorted(col.tags.all())
    if not tags:
        raise Nothing()
    col.tags.rename(tags[pick % len(tags)], name)


@action
def clear_unused_tags(col, clock):
    col.tags.clear_unused_tags()


# -- cards


@action
def answer(col, clock, pick, count, rating):
    for i, id in enumerate(chosen(col, "select id from cards where queue >= 0", pick, count)):
        card = col.get_card(id)
        states = col._backend.get_scheduling_states(id)
        rated = (rating + i) % 4
        new = (states.again, states.hard, states.good, states.easy)[rated]
        col._backend.answer_card(CardAnswer(
            card_id=card.id, current_state=states.current, new_state=new, rating=rated,
            answered_at_millis=clock.next_millis(), milliseconds_taken=1000 + 137 * (pick % 90) + i))
        clock.settle(col)


@action
def flag(col, clock, pick, count, color):
    col.set_user_flag_for_cards(color, chosen(col, "select id from cards", pick, count))


@action
def suspend(col, clock, pick, count):
    col.sched.suspend_cards(chosen(col, "select id from cards", pick, count))


@action
def bury(col, clock, pick, count):
    col.sched.bury_cards(chosen(col, "select id from cards", pick, count), manual=bool(pick % 2))


@action
def unbury_and_unsuspend(col, clock, pick, count):
    ids = chosen(col, "select id from cards where queue < 0", pick, count)
    col.sched.unsuspend_cards(ids)
    col.sched.unbury_cards(ids)


@action
def set_due(col, clock, pick, count, days):
    col.sched.set_due_date(chosen(col, "select id from cards", pick, count), days)


@action
def forget(col, clock, pick, count):
    col.sched.schedule_cards_as_new(chosen(col, "select id from cards", pick, count))


@action
def reposition(col, clock, pick, count, start):
    col.sched.reposition_new_cards(chosen(col, "select id from cards where type = 0", pick, count), start, 1, False, True)


@action
def set_custom_data(col, clock, pick, data):
    card = col.get_card(chosen(col, "select id from cards", pick)[0])
    card.custom_data = data
    col.update_card(card)


@action
def move_cards(col, clock, pick, count, deck):
    col.set_deck(chosen(col, "select id from cards", pick, count), normal_deck(col, deck)[0])


# -- decks


@action
def add_deck(col, clock, name, parent=None, filtered=None):
    if parent is not None:
        name = normal_deck(col, parent)[1] + "::" + name
    deck = col.decks.new_deck_legacy(filtered is not None)
    deck.update(id=clock.next_millis(), name=name, mod=clock.secs, usn=-1)
    if filtered is not None:
        # in the order of their notes: every other order ends in one made from the time of now
        deck["terms"] = [[filtered, 50, 5]]
    deck["desc"] = name
    col.decks.update(deck, preserve_usn=True)
    if filtered is not None:
        col.sched.rebuild_filtered_deck(deck["id"])


@action
def rename_deck(col, clock, pick, name, parent=None):
    did = chosen(col, "select id from decks where id != 1", pick)[0]
    if parent is not None:
        above = normal_deck(col, parent)[1]
        own = col.decks.name(did)
        if above == own or above.startswith(own + "::"):
            raise Nothing()
        name = above + "::" + name
    col.decks.rename(did, name)


@action
def swap_deck_names(col, clock, pick):
    one, two = (col.decks.get(id) for id in pair(col, "select id from decks where id != 1", pick))
    if one["name"].startswith(two["name"] + "::") or two["name"].startswith(one["name"] + "::"):
        raise Nothing()
    col.decks.rename(one["id"], f"between {clock.step}")
    col.decks.rename(two["id"], one["name"])
    col.decks.rename(one["id"], two["name"])


@action
def patch_deck(col, clock, pick, patch_json):
    deck = col.decks.get(chosen(col, "select id from decks", pick)[0])
    patch = json.loads(patch_json)
    if deck["dyn"] and "newLimit" in patch:
        # a key that only normal decks have: lost when the collection becomes schema 11 (docs/differences.md)
        raise Nothing()
    deck.update(patch)
    changed_for_sure(deck, clock)
    col.decks.update_dict(deck)


@action
def remove_deck(col, clock, pick):
    col.decks.remove(chosen(col, "select id from decks where id != 1", pick))


@action
def filtered_deck(col, clock, pick, rebuild):
    filtered = sorted(d["id"] for d in col.decks.all() if d["dyn"])
    if not filtered:
        raise Nothing()
    did = filtered[pick % len(filtered)]
    col.sched.rebuild_filtered_deck(did) if rebuild else col.sched.empty_filtered_deck(did)


# -- notetypes


@action
def add_notetype(col, clock, name, fields, templates, cloze):
    if col.models.by_name(name):
        # Anki would make the name unique by the time
        raise Nothing()
    model = col.models.new(name)
    model.update(id=clock.next_millis(), mod=clock.secs, usn=-1, type=1 if cloze else 0)
    for field in fields:
        col.models.add_field(model, {**col.models.new_field(field), "id": clock.next_big_id()})
    for i in range(1 if cloze else templates):
        template = {**col.models.new_template(f"Card {i + 1}"), "id": clock.next_big_id()}
        template["qfmt"] = "{{cloze:%s}}" % fields[0] if cloze else "{{%s}} %d" % (fields[i % len(fields)], i)
        template["afmt"] = template["qfmt"] + "<hr>"
        col.models.add_template(model, template)
    for key in ("flds", "tmpls"):
        for i, part in enumerate(model[key]):
            part["ord"] = i
    col._backend.add_or_update_notetype(json=to_json_bytes(model), preserve_usn_and_mtime=True, skip_checks=False)
    col.models._clear_cache()


@action
def patch_notetype(col, clock, pick, patch_json):
    model = col.models.get(chosen(col, "select id from notetypes", pick)[0])
    for key, value in json.loads(patch_json).items():
        part, dot, number = key.partition(".")
        if dot:
            model[part][int(number) % len(model[part])].update(value)
        else:
            model[key] = value
    if key == "name" and col.models.id_for_name(value):
        raise Nothing()
    changed_for_sure(model, clock)
    col.models.update_dict(model)


@action
def swap_notetype_names(col, clock, pick):
    one, two = (col.models.get(id) for id in pair(col, "select id from notetypes", pick))
    names = one["name"], two["name"]
    for model, name in ((one, f"between {clock.step}"), (two, names[0]), (one, names[1])):
        model["name"] = name
        col.models.update_dict(model)


@action
def reshape_notetype(col, clock, pick, how, name):
    """Asks every device for a one-way sync."""
    id = chosen(col, "select id from notetypes", pick)[0]
    model = col.models.get(id)
    if how == "remove":
        if len(col.models.all_names_and_ids()) < 3:
            raise Nothing()
        col.models.remove(id)
        return
    if how == "field":
        if name in [f["name"] for f in model["flds"]]:
            raise Nothing()
        col.models.add_field(model, {**col.models.new_field(name), "id": clock.next_big_id()})
    elif how == "template":
        if model["type"] == 1 or name in [t["name"] for t in model["tmpls"]]:
            raise Nothing()
        template = {**col.models.new_template(name), "id": clock.next_big_id()}
        template.update(qfmt="{{%s}} %s" % (model["flds"][0]["name"], name), afmt="{{FrontSide}}")
        col.models.add_template(model, template)
    elif how == "sort field":
        model["sortf"] = (model["sortf"] + 1) % len(model["flds"])
    col.models.update_dict(model)


# -- presets


@action
def add_preset(col, clock, name):
    preset = json.loads(col._backend.new_deck_config_legacy())
    preset.update(id=clock.next_millis(), name=name)
    col.decks.update_config(preset)


@action
def patch_preset(col, clock, pick, patch_json):
    preset = col.decks.get_config(chosen(col, "select id from deck_config", pick)[0])
    for key, value in json.loads(patch_json).items():
        part, dot, rest = key.partition(".")
        if dot:
            preset[part][rest] = value
        else:
            preset[key] = value
    col.decks.update_config(preset)


@action
def use_preset(col, clock, deck, pick):
    found = col.decks.get(normal_deck(col, deck)[0])
    found["conf"] = chosen(col, "select id from deck_config", pick)[0]
    changed_for_sure(found, clock)
    col.decks.update_dict(found)


@action
def remove_preset(col, clock, pick):
    """Asks every device for a one-way sync."""
    col.decks.remove_config(chosen(col, "select id from deck_config where id != 1", pick)[0])


@action
def deck_options(col, clock, deck, fsrs, new_per_day, new_limit):
    """The deck options screen, for the preset that the deck has."""
    did = normal_deck(col, deck)[0]
    shown = col.decks.get_deck_configs_for_update(did)
    request = UpdateDeckConfigs()
    request.target_deck_id = did
    current = col.decks.get(did)["conf"]
    preset = request.configs.add()
    preset.CopyFrom(next((c.config for c in shown.all_config if c.config.id == current), shown.all_config[0].config))
    preset.config.new_per_day = new_per_day
    preset.config.easy_days_percentages[:] = [1, 1, 0.5, 1, 1, 0, 1]
    request.fsrs = fsrs
    request.card_state_customizer = "customData.good.x = 1;"
    request.limits.CopyFrom(shown.current_deck.limits)
    if new_limit is not None:
        request.limits.new = new_limit
    col.decks.update_deck_configs(request)


# -- config


@action
def set_config(col, clock, key, value_json):
    col.conf.set(key, json.loads(value_json))


@action
def remove_config(col, clock, key):
    col.conf.remove(key)


# -- media


@action
def write_media(col, clock, name, text):
    name = col.media.write_data(name, text.encode())
    stamp_media(col, clock, name)


@action
def replace_media(col, clock, pick, text):
    name = some_media(col, pick)
    # new bytes under an old name, past Anki
    with open(os.path.join(col.media.dir(), name), "w", encoding="utf-8") as f:
        f.write(text)
    stamp_media(col, clock, name)


@action
def trash_media(col, clock, pick):
    col.media.trash_files([some_media(col, pick)])
    stamp_media(col, clock, None)


def some_media(col, pick):
    names = sorted(os.listdir(col.media.dir()))
    if not names:
        raise Nothing()
    return names[pick % len(names)]


def stamp_media(col, clock, name):
    """Anki notices changes by time alone, and the clock of a file system ticks slower than we change files."""
    for path in ([] if name is None else [os.path.join(col.media.dir(), name)]) + [col.media.dir()]:
        secs = clock.next_millis() / 1000
        os.utime(path, (secs, secs))
