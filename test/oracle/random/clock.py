"""The plan's clock instead of the computer's. Anki stamps what it changes with the time of now; right after each action every such
stamp is replaced by the time that the plan gave to the action, so that who wins never depends on how fast the machine is.

The plan's times lie in the past, before LIMIT; what is later was made by the real clock.
"""
BASE_SECS = 1_750_000_000
LIMIT_SECS = BASE_SECS + 10_000_000
LIMIT_MILLIS = LIMIT_SECS * 1000
# a learning card is due at a time of day
LEARNING_SECS = 600

STAMPS = (("notes", "mod"), ("cards", "mod"), ("decks", "mtime_secs"), ("notetypes", "mtime_secs"), ("deck_config", "mtime_secs"))


class Clock:
    """Of one action: `secs` stamps what it changes (two actions may share it), ids are made from `step`, which is its own."""

    def __init__(self, step, secs):
        self.step = step
        self.secs = BASE_SECS + secs
        self.last_millis = (BASE_SECS + 1_000_000 + step * 10) * 1000
        self.big = -7_290_854_878_769_846_350 + step * 1_000_003

    def next_millis(self):
        self.last_millis += 1
        return self.last_millis

    def next_big_id(self):
        """As those that Anki draws for fields and templates: beyond what a double holds."""
        self.big += 1
        return self.big

    def settle(self, col):
        changes = []
        for table in ("notes", "cards", "revlog"):
            # Anki gives a note's cards their ids in no certain order
            order = {"notes": "id", "cards": "nid, ord", "revlog": "cid, id"}[table]
            for id in col.db.list(f"select id from {table} where id > ? order by {order}", LIMIT_MILLIS):
                new = self.next_millis()
                changes.append((f"update {table} set id = ? where id = ?", new, id))
                if table == "notes":
                    changes.append(("update notes set guid = ? where id = ?", f"g{new}", new))
                    changes.append(("update cards set nid = ? where nid = ?", new, id))
                if table == "cards":
                    changes.append(("update revlog set cid = ? where cid = ?", new, id))
        # parents that Anki adds by itself
        for id, _name in sorted(col.db.all("select id, cast(name as blob) from decks where id > ?", LIMIT_MILLIS), key=lambda row: str(row[1])):
            new = self.next_millis()
            changes.append(("update decks set id = ? where id = ?", new, id))
            changes.append(("update cards set did = ? where did = ?", new, id))
            changes.append(("update cards set odid = ? where odid = ?", new, id))
        for table, column in STAMPS:
            if col.db.scalar(f"select exists (select 1 from {table} where usn = -1 and {column} > ?)", LIMIT_SECS):
                changes.append((f"update {table} set {column} = ? where usn = -1 and {column} > ?", self.secs, LIMIT_SECS))
        for column in ("due", "odue"):
            if col.db.scalar(f"select exists (select 1 from cards where {column} > ?)", LIMIT_SECS):
                changes.append((f"update cards set {column} = ? where {column} > ?", self.secs + LEARNING_SECS, LIMIT_SECS))
        if col.db.scalar("select exists (select 1 from cards where data like '%\"lrt\"%' and json_extract(data, '$.lrt') > ?)", LIMIT_SECS):
            changes.append(("update cards set data = json_set(data, '$.lrt', ?) where data like '%\"lrt\"%' and json_extract(data, '$.lrt') > ?",
                            self.secs, LIMIT_SECS))
        for sql, *args in changes:
            col.db.execute(sql, *args)
        if changes:
            # Anki keeps decks and notetypes in memory, with the old stamps
            col._backend.db_rollback()
            col.models._clear_cache()
