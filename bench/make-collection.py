"""Makes a collection as people have it, for the benchmark: make-collection.py FOLDER NAME NOTES DECKS REVIEWS

Decks, notetypes and settings come from Anki itself; the many rows are written by SQL and then judged by Anki's own database check.
Each note has two cards, and REVIEWS reviews. Writes NAME.anki2 as a client sends it in a full upload, and NAME.json with what a client
must know to go on: counts, usn, times, and some cards and notes to change.
"""

import hashlib
import json
import os
import random
import re
import sqlite3
import sys

from anki.collection import Collection

CARD_COLUMNS = "id,nid,did,ord,mod,usn,type,queue,due,ivl,factor,reps,lapses,left,odue,odid,flags,data"
NOTE_IDS_FROM = 1_650_000_000_000
REVIEW_IDS_FROM = 1_500_000_000_000
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qi ro su ta ve wi xo zu ar en il on us".split()


class Words:
    """Few words are common and most are rare, as in a language: so the notes pack about as well as real ones (3:1)."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        made = {"".join(self.random.choices(SYLLABLES, k=self.random.randint(1, 4))) for _ in range(16_000)}
        self.words = sorted(made)
        self.random.shuffle(self.words)
        total = 0.0
        self.weights = []
        for rank in range(len(self.words)):
            total += 1 / (rank + 3)
            self.weights.append(total)

    def some(self, count):
        return self.random.choices(self.words, cum_weights=self.weights, k=count)

    def note(self, number):
        back = []
        words = self.some(self.random.choice((8, 12, 20, 30, 45, 60, 90, 150, 220)))
        for at in range(0, len(words), 12):
            back.append("<div>" + " ".join(words[at : at + 12]) + "</div>")
        if self.random.random() < 0.2:
            back.append(f'<img src="picture-{self.random.getrandbits(128):032x}.jpg">')
        return f"{' '.join(self.some(7))} {number}?", "".join(back)


def checksum(text):
    return int(hashlib.sha1(re.sub("<.*?>", "", text).encode()).hexdigest()[:8], 16)


def open_sql(path):
    db = sqlite3.connect(path)
    db.create_collation("unicase", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
    return db


def check(path):
    """The first pass may fill in what Anki derives from other columns; the second must find nothing."""
    col = Collection(path)
    try:
        for _ in range(2):
            problems, sound = col.fix_integrity()
        if not sound:
            sys.exit(f"Anki's database check: {problems}")
        return col.decks.all(), col.all_config()
    finally:
        col.close()


def main(folder, name, notes, deck_count, reviews):
    path = os.path.join(folder, f"{name}.anki2")
    if os.path.exists(path):
        os.remove(path)
    col = Collection(path)
    decks = [col.decks.id(f"Subject {n % 7}::Deck {n}") for n in range(deck_count)]
    two_sided = col.models.by_name("Basic (and reversed card)")["id"]
    basic = col.models.by_name("Basic")["id"]
    col.close()

    words = Words(len(name) + notes)
    rng = random.Random(notes)
    tags = [f"topic::{n}" for n in range(100)] + ["leech", "marked"]

    def note_rows():
        for n in range(notes):
            front, back = words.note(n)
            of_note = " ".join(sorted(rng.sample(tags, rng.choice((0, 1, 1, 2)))))
            guid = f"{rng.getrandbits(58):x}"
            stamp = 1_700_000_000 + n % 9_000_000
            yield (NOTE_IDS_FROM + n * 5, guid, two_sided, stamp, 0, f" {of_note} " if of_note else "", f"{front}\x1f{back}", front, checksum(front), 0, "")

    def card_rows():
        for n in range(notes):
            nid = NOTE_IDS_FROM + n * 5
            for ord in (0, 1):
                mine = (nid + 1 + ord, nid, decks[n % len(decks)], ord)
                if rng.random() < 0.15:
                    yield (*mine, 1_700_000_000, 0, 0, 0, n + 1, 0, 0, 0, 0, 0, 0, 0, 0, "{}")
                else:
                    data = '{"pos":%d,"s":%.4f,"d":%.3f,"dr":0.9}' % (n, rng.uniform(0.5, 400), rng.uniform(1, 10))
                    interval = rng.randint(1, 400)
                    yield (*mine, 1_700_000_000 + n % 9_000_000, 0, 2, 2, rng.randint(0, 300), interval, 2500, rng.randint(1, 40), 0, 0, 0, 0, 0, data)

    def review_rows():
        for n in range(notes * reviews):
            card = NOTE_IDS_FROM + rng.randrange(notes) * 5 + 1 + (n & 1)
            yield (REVIEW_IDS_FROM + n * 59, card, 0, rng.choice((1, 3, 3, 4)), rng.randint(1, 400), rng.randint(1, 300), 2500, rng.randint(900, 60_000), 1)

    db = open_sql(path)
    db.execute("pragma synchronous = off")
    db.executemany(f"insert into notes values ({','.join('?' * 11)})", note_rows())
    db.executemany(f"insert into cards values ({','.join('?' * 18)})", card_rows())
    db.executemany(f"insert into revlog values ({','.join('?' * 9)})", review_rows())
    db.commit()
    db.close()
    all_decks, config = check(path)

    # as Anki leaves it before a full upload: nothing pending
    db = open_sql(path)
    for table in ("notes", "cards", "revlog", "decks", "deck_config", "notetypes", "tags", "config"):
        db.execute(f"update {table} set usn = 0")
    db.execute("delete from graves")
    db.execute("update col set usn = 1, ls = mod")
    db.commit()
    count = lambda table: db.execute(f"select count() from {table}").fetchone()[0]
    facts = {
        "bytes": os.path.getsize(path),
        "counts": [[0, 0, 0], *(count(t) for t in ("cards", "notes", "revlog", "graves", "notetypes", "decks", "deck_config"))],
        "crt": db.execute("select crt from col").fetchone()[0],
        "basic": basic,
        "decks": all_decks,
        "conf": config,
        "cards": db.execute(f"select {CARD_COLUMNS} from cards where type = 2 limit 4000").fetchall(),
        "notes": db.execute("select id, guid, mid, tags, flds from notes limit 5000").fetchall(),
    }
    db.close()
    with open(os.path.join(folder, f"{name}.json"), "w") as out:
        json.dump(facts, out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
