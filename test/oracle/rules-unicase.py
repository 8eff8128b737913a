"""Case folding as real Anki's `unicase` collation does it, asked of the collation itself.

usage: python rules-unicase.py table|partition

table      prints what lib/schema/unicase.ts holds: runs of single folds, and the folds to several characters.
           Candidates are Python's own full folds; those that Anki's older Unicode tables lack are left out.
partition  reads JSON [[character, key], ...] of all characters whose key is another text from stdin, and prints how many
           pairs the collation calls different, and how many different values all characters of Unicode have for it.
"""

import json
import os
import sys
import tempfile

from anki.collection import Collection


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        col = Collection(os.path.join(folder, "collection.anki2"))
        col.db.execute("create temp table pair (a text, b text)")
        if sys.argv[1] == "table":
            table(col)
        else:
            partition(col, json.load(sys.stdin))
        col.close()


def table(col: Collection) -> None:
    folds = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        fold = char.casefold()
        if len(fold) == 3:
            # the collation walks three characters in the order 3, 1, 2
            fold = fold[2] + fold[0] + fold[1]
        if fold != char:
            folds.append((char, fold))
    col.db.executemany("insert into pair values (?, ?)", folds)
    unknown = set(col.db.list("select a from pair where a <> b collate unicase"))

    runs: list[list[int]] = []
    many: list[str] = []
    for char, fold in folds:
        if char in unknown:
            continue
        if len(fold) > 1:
            many.append(f"  {ord(char):04x}={' '.join(f'{ord(c):x}' for c in fold)}")
            continue
        code, delta = ord(char), ord(fold) - ord(char)
        last = runs[-1] if runs else None
        if last and last[3] == delta and code - last[1] in (1, 2) and last[2] in (0, code - last[1]):
            last[2] = code - last[1]
            last[1] = code
        else:
            runs.append([code, code, 0, delta])
    for first, final, step, delta in runs:
        print(f"{first:x} {final:x} {step or 1} {delta}")
    print("\n".join(many))


def partition(col: Collection, pairs: list[list[str]]) -> None:
    col.db.executemany("insert into pair values (?, ?)", pairs)
    different = col.db.list("select a from pair where a <> b collate unicase")
    values = col.db.scalar(
        """
        with recursive code (i) as (select 0 union all select i + 1 from code where i < 1114111)
        select count(distinct char(i) collate unicase) from code where i not between 55296 and 57343"""
    )
    json.dump({"different": different, "values": values}, sys.stdout)


main()
