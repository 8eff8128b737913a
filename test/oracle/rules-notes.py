"""What real Anki stores for notes: reads JSON [{"fields": [two texts], "sortField": 0 or 1}, ...] from stdin.

Prints [{"flds": hex, "type": SQLite's type of sfld, "sfld": hex or a real, "csum": number}, ...]. Notes are not normalised to NFC,
as on the server's side of a sync.
"""

import json
import os
import sys
import tempfile

from anki.collection import AddNoteRequest, Collection
from anki.decks import DeckId


def main() -> None:
    wanted = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        col = Collection(os.path.join(folder, "collection.anki2"))
        col.set_config("normalize_note_text", False)
        notetypes = []
        for sort_field in (0, 1):
            notetype = col.models.copy(col.models.by_name("Basic"), add=False)
            notetype["name"] = f"sorted by {sort_field}"
            notetype["sortf"] = sort_field
            col.models.add_dict(notetype)
            notetypes.append(col.models.by_name(notetype["name"]))
        requests = []
        for item in wanted:
            note = col.new_note(notetypes[item["sortField"]])
            note.fields = item["fields"]
            requests.append(AddNoteRequest(note=note, deck_id=DeckId(1)))
        col.add_notes(requests)
        rows = {
            row[0]: {"flds": row[1], "type": row[2], "sfld": row[3], "csum": row[4]}
            for row in col.db.execute(
                "select id, hex(flds), typeof(sfld), iif(typeof(sfld) = 'real', sfld, hex(cast(sfld as blob))), csum from notes"
            )
        }
        json.dump([rows[request.note.id] for request in requests], sys.stdout)
        col.close()


main()
