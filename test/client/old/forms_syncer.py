"""2.1.28 to 2.1.56: synced by Rust, in multipart forms, at the addresses of SYNC_ENDPOINT and SYNC_ENDPOINT_MEDIA."""
import anki.lang

try:
    anki.lang.set_lang("en")
except TypeError:
    anki.lang.set_lang("en", "")

try:
    from anki.collection import Collection
except ImportError:
    from anki import Collection

if not hasattr(Collection, "close_for_full_sync"):
    from anki.storage import Collection

OUTCOMES = ["NO_CHANGES", "NORMAL_SYNC", "FULL_SYNC", "FULL_DOWNLOAD", "FULL_UPLOAD"]


def backend(col):
    return getattr(col, "_backend", None) or col.backend


def open_collection(path):
    return Collection(path)


def close(col):
    col.close(downgrade=True)


def auth_of(key, endpoint):
    try:
        from anki.sync import SyncAuth
    except ImportError:
        from anki.rsbackend import SyncAuth
    return SyncAuth(hkey=key)


def key_of(auth):
    return auth.hkey


def login(col, user, password, endpoint):
    return backend(col).sync_login(username=user, password=password)


def sync(col, auth):
    # these keep a transaction open, and the backend begins one of its own
    col.save(trx=False)
    try:
        out = backend(col).sync_collection(auth)
    finally:
        col.db.begin()
    return {"required": OUTCOMES[out.required], "message": out.server_message}


def full(col, auth, path, upload):
    col.close_for_full_sync()
    try:
        if upload:
            backend(col).full_upload(auth)
        else:
            backend(col).full_download(auth)
    finally:
        col.reopen(after_full_sync=True)
    return col


def sync_media(col, auth):
    backend(col).sync_media(auth)


def is_auth_error(error):
    kind = getattr(error, "kind", None)
    return "password was incorrect" in str(error) or (kind is not None and not callable(kind) and getattr(kind, "name", "") == "AUTH")
