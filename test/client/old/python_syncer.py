"""2.1.26: collections are synced by Python (anki/sync.py), media by Rust, which begins with a GET."""
import anki.lang
import anki.sync
from anki.storage import Collection
from anki.sync import FullSyncer, RemoteServer, Syncer

OUTCOMES = {"success": "NO_CHANGES", "noChanges": "NO_CHANGES", "fullSync": "FULL_SYNC"}


class RefusedKey(Exception):
    pass


class Auth:
    def __init__(self, key, endpoint):
        self.key = key
        self.endpoint = endpoint
        anki.sync.SYNC_BASE = endpoint.replace("%", "%%") + "%s"


def open_collection(path):
    return Collection(path)


def close(col):
    col.close(downgrade=True)


def auth_of(key, endpoint):
    return Auth(key, endpoint)


def key_of(auth):
    return auth.key


def login(col, user, password, endpoint):
    auth = Auth("", endpoint)
    key = RemoteServer(None, None).hostKey(user, password)
    if not key:
        raise RefusedKey("no host key for this password")
    auth.key = key
    return auth


def sync(col, auth):
    col.save()
    syncer = Syncer(col, RemoteServer(auth.key, None))
    result = syncer.sync()
    if result == "badAuth":
        raise RefusedKey("the host key is refused")
    if result not in OUTCOMES:
        raise Exception(f"{result} {syncer.syncMsg}")
    return {"required": OUTCOMES[result], "message": syncer.syncMsg}


def full(col, auth, path, upload):
    syncer = FullSyncer(col, auth.key, RemoteServer(auth.key, None).client, None)
    if upload:
        if not syncer.upload():
            raise Exception("the upload is refused")
    else:
        problem = syncer.download()
        if problem:
            raise Exception(problem)
    return Collection(path)


def sync_media(col, auth):
    col.backend.sync_media(auth.key, auth.endpoint + "msync/")


def is_auth_error(error):
    # the media sync's own
    kind = getattr(error, "kind", None)
    return isinstance(error, RefusedKey) or (callable(kind) and "AUTH" in str(kind()) + str(error.args))
