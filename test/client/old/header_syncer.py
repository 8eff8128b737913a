"""2.1.57 and newer: the sync protocol of today."""
import time

from anki.collection import Collection
from anki.sync import SyncAuth


def open_collection(path):
    return Collection(path)


def close(col):
    col.close(downgrade=True)


def auth_of(key, endpoint):
    return SyncAuth(hkey=key, endpoint=endpoint)


def key_of(auth):
    return auth.hkey


def login(col, user, password, endpoint):
    auth = col.sync_login(user, password, endpoint)
    # clients before 23.10 leave it out, and would then talk to AnkiWeb
    auth.endpoint = endpoint
    return auth


def sync(col, auth):
    if hasattr(col, "full_upload_or_download"):
        out = col.sync_collection(auth, False)
    else:
        # before 23.10 a transaction is kept open, and the backend begins one of its own
        col.save(trx=False)
        try:
            out = col.sync_collection(auth)
        finally:
            col.db.begin()
    return {"required": out.ChangesRequired.Name(out.required), "message": out.server_message}


def full(col, auth, path, upload):
    col.close_for_full_sync()
    try:
        if hasattr(col, "full_upload_or_download"):
            col.full_upload_or_download(auth=auth, server_usn=None, upload=upload)
        elif upload:
            col.full_upload(auth)
        else:
            col.full_download(auth)
    finally:
        col.reopen(after_full_sync=True)
    return col


def sync_media(col, auth):
    col.sync_media(auth)
    # since 23.10 it goes on in the background, and this raises what it failed with
    while hasattr(col, "media_sync_status") and col.media_sync_status().active:
        time.sleep(0.01)


def is_auth_error(error):
    return getattr(getattr(error, "kind", None), "name", "") == "AUTH"
