"""What a person does to a collection, in words that every release since 2.1.26 knows under one name or another."""
import anki.collection  # first: the modules import each other  # noqa: F401
from anki.notes import Note

COMMANDS = {}


def command(function):
    COMMANDS[function.__name__] = function
    return function


def method(thing, *names):
    """The first of these that this release has."""
    for name in names:
        if hasattr(thing, name):
            return getattr(thing, name)
    raise AttributeError(f"none of {names} in {thing}")


def forget_what_was_cached(col):
    if hasattr(col.models, "_clear_cache"):
        col.models._clear_cache()
    if hasattr(col, "_loadScheduler"):
        col._loadScheduler()
    elif hasattr(col, "_load_scheduler"):
        col._load_scheduler()


@command
def add_notes(col, count=1, deck="Default", notetype="Basic", prefix="note", tags=()):
    model = method(col.models, "by_name", "byName")(notetype)
    did = col.decks.id(deck)
    ids = []
    for i in range(count):
        note = Note(col, model)
        note.fields = [f"{prefix} {i}, field {n}" for n in range(len(note.fields))]
        note.tags = list(tags)
        if hasattr(col, "add_note"):
            col.add_note(note, did)
        else:
            note.model()["did"] = did
            col.addNote(note)
        ids.append(note.id)
    return ids


@command
def edit_note(col, id, fields=None, tags=None, later=0):
    note = method(col, "get_note", "getNote")(id)
    if fields is not None:
        note.fields = fields
    if tags is not None:
        note.tags = tags
    if hasattr(col, "update_note"):
        col.update_note(note)
    else:
        note.flush()
    if later:
        col.db.execute("update notes set mod = mod + ? where id = ?", later, id)
        col.db.execute("update col set mod = mod + 1")


@command
def note(col, id):
    note = method(col, "get_note", "getNote")(id)
    return {"fields": note.fields, "tags": note.tags}


@command
def find_notes(col, query=""):
    return list(method(col, "find_notes", "findNotes")(query))


@command
def counts(col):
    return {table: col.db.scalar(f"select count() from {table}") for table in ("notes", "cards", "revlog")}


@command
def remove_notes(col, ids):
    method(col, "remove_notes", "remNotes")(ids)


@command
def answer(col, count, deck):
    """Answers due cards through the release's own scheduler. How many there were."""
    col.decks.select(col.decks.id(deck))
    if hasattr(col, "reset"):
        col.reset()
    for i in range(count):
        card = col.sched.getCard()
        if card is None:
            return i
        col.sched.answerCard(card, 2)
    return count


@command
def add_deck(col, name):
    return col.decks.id(name)


@command
def rename_deck(col, id, name):
    col.decks.rename(col.decks.get(id), name)


@command
def remove_deck(col, id):
    if hasattr(col.decks, "remove"):
        col.decks.remove([id])
    else:
        col.decks.rem(id, True)


@command
def deck_names(col):
    if hasattr(col.decks, "all_names_and_ids"):
        return {deck.name: deck.id for deck in col.decks.all_names_and_ids()}
    return {deck["name"]: int(deck["id"]) for deck in col.decks.all()}
