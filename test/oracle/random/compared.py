"""What the random rounds compare, and what they excuse. Everything that is not named here must be equal after the same plan was played
against the official server and against ours: every row and column of every table of every device and of the server's own file
(opened by Anki as a copy), usn and mod included; all media files of all devices; the server's media index with its usns; and the
outcome of each step of the plan (what a sync asked for, which error an action or a sync ended with).

How stamps are compared: the plan sets the times of what the devices change (clock.py), so they are equal to the second. What the real
clock made (a deck that got a `+` from the server) is only compared as "made by the clock". The times of whole collections
(`col.mod`, `col.scm`, `col.ls`) are replaced by their order among all collections of the round: the same ones must be equal, and
the same ones older.
"""
import hashlib
import json
import os
import shutil
import sqlite3

import dump
from clock import LIMIT_MILLIS, LIMIT_SECS

# "table.column": why it may differ between the two servers
EXCUSED = {
    "config.usn": "config goes as one map without stamps; each side writes its own usn, and schema 11, in which our server rests, has none",
    "config.mtime_secs": "as config.usn",
    "templates.mtime_secs": "no client compares it, and schema 11 has none",
    "templates.usn": "as templates.mtime_secs: the notetype's counts",
}
# the same, where only "ours is later" is excused
LATER_ON_OURS = {
    "graves.usn": "an object deleted again (another device did it too, or the first answer was lost) gets a new usn from ours,"
                  " so that devices that synced in between hear of it; the official server keeps the first. A download takes it along.",
}
# columns of times in seconds, whose real values are those of the run
CLOCK_SECS = {("decks", "mtime_secs"), ("notetypes", "mtime_secs"), ("deck_config", "mtime_secs"), ("notes", "mod"), ("cards", "mod")}
# each group has an order of its own: Anki sets scm and mod one after the other, within the same millisecond or not
ORDERED = (("mod", "ls"), ("scm",))

Difference = str


def snapshot_of_collection(col):
    """{table: {key: [value, …]}} as it is in the file, and the names of the columns."""
    tables, columns = {}, {}
    for table, keys in dump.KEYS.items():
        names = [row[1] for row in col.db.all(f"pragma table_info({table})")]
        columns[table] = [name for name in names if name not in keys and f"{table}.{name}" not in EXCUSED]
        shown = [shown_column(table, name) for name in keys + columns[table]]
        rows = {}
        for values in col.db.all(f"select {', '.join(shown)} from {table}"):
            key, rest = values[: len(keys)], list(values[len(keys):])
            if table in ("decks", "notetypes", "deck_config", "notes", "cards"):
                for i, name in enumerate(columns[table]):
                    if (table, name) in CLOCK_SECS and rest[i] > LIMIT_SECS:
                        rest[i] = "(made by the clock)"
            rows[json.dumps(key, ensure_ascii=False)] = rest
        tables[table] = rows
    return {"tables": tables, "columns": columns}


def shown_column(table, name):
    return f"hex({name})" if (table, name) in dump.MESSAGES or (table, name) in (("config", "val"), ("tags", "config")) else name


def order_times(collections):
    """Replaces the times of whole collections by their order."""
    rows = []
    for collection in collections.values():
        (row,) = collection["tables"]["col"].values()
        rows.append((row, collection["columns"]["col"].index))
    for names in ORDERED:
        times = sorted({row[index(name)] for row, index in rows for name in names})
        for row, index in rows:
            for name in names:
                row[index(name)] = f"time {times.index(row[index(name)])}"


def snapshot_of_media_index(path, folder):
    """Rows of the server's media.db, read from a copy; `mtime` is the server's own note."""
    if not os.path.exists(path):
        # the official server makes an empty one when a user comes for the first time
        return {"(meta)": [0, 0, 0]}
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, "media.db")
    for suffix in ("", "-wal"):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, target + suffix)
    db = sqlite3.connect(target)
    rows = {row[0]: list(row[1:]) for row in db.execute("select fname, hex(csum), size, usn from media")}
    rows["(meta)"] = list(db.execute("select last_usn, total_bytes, total_nonempty_files from meta").fetchone())
    db.close()
    return rows


def snapshot_of_media_folder(folder):
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), "rb") as f:
            found[name] = hashlib.sha1(f.read()).hexdigest()
    return found


def differences(left, right, at_most=12):
    """Sentences, `left` is the official server's round."""
    found = []
    for i, (one, two) in enumerate(zip(left["log"], right["log"])):
        if one != two:
            found.append(f"step {i} {one['step']}: {dump.short(one['outcome'])} <> {dump.short(two['outcome'])}")
    for name in left["collections"]:
        one, two = left["collections"][name], right["collections"][name]
        for table in dump.KEYS:
            columns = one["columns"][table]
            mine, other = one["tables"][table], two["tables"][table]
            for key in sorted(set(mine) | set(other)):
                if mine.get(key) == other.get(key) and type_of(mine.get(key)) == type_of(other.get(key)):
                    continue
                if key not in mine or key not in other:
                    side = "official" if key in mine else "ours"
                    found.append(f"{name}: {table} {key} only {side}: {dump.short((mine.get(key) or other.get(key)))}")
                    continue
                for column, a, b in zip(columns, mine[key], other[key]):
                    if a == b and type(a) is type(b):
                        continue
                    if f"{table}.{column}" in LATER_ON_OURS and b > a:
                        continue
                    for path, x, y in dump.unlike(column, readable(table, column, a), readable(table, column, b)):
                        found.append(f"{name}: {table} {key} {path}: {dump.short(x)} <> {dump.short(y)}")
    for name in left["media"]:
        one, two = left["media"][name], right["media"][name]
        for key in sorted(set(one) | set(two)):
            if one.get(key) != two.get(key):
                found.append(f"media of {name}: {key}: {one.get(key)} <> {two.get(key)}")
    return found[:at_most] + ([f"… and {len(found) - at_most} more"] if len(found) > at_most else [])


def type_of(row):
    return None if row is None else [type(value) for value in row]


def readable(table, column, value):
    return value if isinstance(value, str) and value.startswith("(made") else dump.readable(table, column, value)


def unalike_devices(collections, names):
    """How many tables differ between devices that have all synced: Anki itself leaves some apart."""
    count = 0
    first = collections[names[0]]["tables"]
    for name in names[1:]:
        other = collections[name]["tables"]
        count += sum(first[table] != other[table] for table in dump.KEYS if table not in ("col", "graves", "tags"))
    return count
