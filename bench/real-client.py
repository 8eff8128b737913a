"""Milliseconds that a real device waits for a full download, opening included: real-client.py ENDPOINT USER PASSWORD"""

import os
import sys
import tempfile
import time

from anki.collection import Collection

endpoint, user, password = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "collection.anki2")
    col = Collection(path)
    auth = col.sync_login(user, password, endpoint)
    auth.endpoint = endpoint
    begun = time.perf_counter()
    col.close_for_full_sync()
    col.full_upload_or_download(auth=auth, server_usn=None, upload=False)
    col.reopen(after_full_sync=True)
    col.sched.deck_due_tree()
    print(round((time.perf_counter() - begun) * 1000))
    col.close()
