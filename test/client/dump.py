"""Two collections, table by table: every row and column, except what is excused below, each with its reason."""
import json
import os
import shutil
import sqlite3

from anki import deck_config_pb2, decks_pb2, notetypes_pb2
from google.protobuf.json_format import MessageToDict

MESSAGES = {
    ("deck_config", "config"): deck_config_pb2.DeckConfig.Config,
    ("decks", "common"): decks_pb2.Deck.Common,
    ("decks", "kind"): decks_pb2.Deck.KindContainer,
    ("notetypes", "config"): notetypes_pb2.Notetype.Config,
    ("fields", "config"): notetypes_pb2.Notetype.Field.Config,
    ("templates", "config"): notetypes_pb2.Notetype.Template.Config,
}

KEYS = {
    "col": ["id"], "notes": ["id"], "cards": ["id"], "revlog": ["id"], "graves": ["type", "oid"], "decks": ["id"], "deck_config": ["id"],
    "notetypes": ["id"], "fields": ["ntid", "ord"], "templates": ["ntid", "ord"], "tags": ["tag"], "config": ["KEY"],
}

# What may differ, by the kind of comparison, as "table.column".
OWN_STAMPS = {
    "config.usn": "config goes as one map without stamps: each side writes its own usn",
    "config.mtime_secs": "and its own time",
}
SYNC_STAMPS = {
    **OWN_STAMPS,
    "tags.usn": "only names go over the wire: each side writes the usn of its own sync",
    "graves.usn": "only ids go over the wire, as with tags",
}
EXCUSED = {
    # the device that synced last, and the server's own file
    "server": {
        **SYNC_STAMPS,
        "col.ls": "the device's own note of its last sync",
    },
    # two devices that have both fetched everything
    "devices": {
        **SYNC_STAMPS,
        "col.mod": "every finished sync sets a new one, so only the device that synced last has the server's",
        "col.usn": "as mod",
        "col.ls": "as mod",
    },
    # the server's own file before, and a new device that downloaded everything after
    "download": {
        **OWN_STAMPS,
        "col.mod": "a download raises it",
        "col.usn": "a download raises it",
        "col.ls": "a download sets it to mod",
    },
}


def tables(col):
    """{table: {key: {column: value}}}, protobuf and JSON columns read."""
    out = {}
    for table, keys in KEYS.items():
        columns = [row[1] for row in col.db.all(f"pragma table_info({table})")]
        shown = [f"hex({c})" if (table, c) in MESSAGES or (table, c) in (("config", "val"), ("tags", "config")) else c for c in columns]
        rows = {}
        for values in col.db.all(f"select {', '.join(shown)} from {table}"):
            row = {c: readable(table, c, v) for c, v in zip(columns, values)}
            key = json.dumps([row.pop(k) for k in keys], ensure_ascii=False)
            rows[key] = row
        out[table] = rows
    return out


def readable(table, column, value):
    if (table, column) in MESSAGES:
        message = MESSAGES[table, column].FromString(bytes.fromhex(value))
        found = MessageToDict(message, preserving_proto_field_name=True)
        if found.get("other"):
            found["other"] = json.loads(message.other)
        return found
    if (table, column) == ("config", "val"):
        return json.loads(bytes.fromhex(value))
    if table == "cards" and column == "data" and value:
        return json.loads(value)
    return value


def differences(left, right, kind, also=(), at_most=25):
    """Sentences, one per difference that is not excused; empty when the two are the same."""
    excused = {*EXCUSED[kind], *also}
    found = []
    for table in KEYS:
        for key in sorted(set(left[table]) | set(right[table])):
            mine, other = left[table].get(key), right[table].get(key)
            if mine is None or other is None:
                found.append(f"{table} {key} only on the {'right' if mine is None else 'left'}: {short(mine or other)}")
                continue
            if repr(mine) == repr(other):
                continue
            for column in mine:
                if f"{table}.{column}" in excused:
                    continue
                for path, one, two in unlike(column, mine[column], other.get(column)):
                    found.append(f"{table} {key} {path}: {short(one)} <> {short(two)}")
    if len(found) > at_most:
        found = found[:at_most] + [f"… and {len(found) - at_most} more"]
    return found


def unlike(path, one, two):
    """(path, value, value) of the parts that differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(set(one) | set(two)):
            yield from unlike(f"{path}.{key}", one.get(key, "(missing)"), two.get(key, "(missing)"))
    # 1 and 1.0, true and 1 are equal to Python, but not to Anki
    elif json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True):
        yield path, one, two


def short(value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) < 300 else text[:300] + "…"


def media_index(path, folder):
    """{name: sha1} of the server's media.db, deleted names left out; read from a copy."""
    if not os.path.exists(path):
        return {}
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, "media.db")
    for suffix in ("", "-wal"):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, target + suffix)
    with sqlite3.connect(target) as db:
        rows = db.execute("select fname, csum from media where size > 0").fetchall()
    db.close()
    return {name: csum.hex() if isinstance(csum, bytes) else csum for name, csum in rows}
