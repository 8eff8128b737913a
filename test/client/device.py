"""Real Anki devices, driven by JSON lines: one command a line on stdin, one answer a line on stdout.

    {"id": 1, "device": "a", "do": "open", "args": {"folder": "/tmp/x"}}
    {"id": 1, "ok": {...}}      or      {"id": 1, "error": {"type": "SyncError", "kind": "AUTH", "message": "..."}}

Commands of one device run in order; two devices run side by side. The process ends when stdin does.
"""
import hashlib
import json
import os
import shutil
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

# Answers get a descriptor of their own: whatever Anki prints goes to stderr and cannot mix with them.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
os.dup2(2, 1)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from anki.collection import Collection  # noqa: E402
from anki.errors import SyncError  # noqa: E402
from anki.sync import SyncAuth  # noqa: E402

import dump  # noqa: E402
import edits  # noqa: E402


class Device:
    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.col = Collection(os.path.join(folder, "collection.anki2"))
        self.auth = None

    # -- signing in and syncing, as the desktop does it (qt/aqt/sync.py)

    def login(self, user, password, endpoint):
        auth = self.col.sync_login(user, password, endpoint)
        # clients before 23.10 leave it out, and would then talk to AnkiWeb
        auth.endpoint = endpoint
        self.auth = auth
        return {"key": auth.hkey}

    def set_key(self, key, endpoint):
        """As a profile that was signed in long ago: nothing is asked of the server."""
        self.auth = SyncAuth(hkey=key, endpoint=endpoint)
        return None

    def log_out(self):
        """The button of the preferences: media are compared anew, wherever the device signs in next."""
        self.auth = None
        self.col.media.force_resync()
        return None

    def sync(self, media=False):
        out = self.col.sync_collection(self.auth, media)
        self.col._load_scheduler()
        self.col.models._clear_cache()
        if out.new_endpoint:
            self.auth.endpoint = out.new_endpoint
        required = out.ChangesRequired.Name(out.required)
        if media and required == "NO_CHANGES":
            self.wait_for_media()
        return {"required": required, "message": out.server_message, "mediaUsn": out.server_media_usn}

    def full(self, upload, media_usn=None):
        self.col.close_for_full_sync()
        try:
            self.col.full_upload_or_download(auth=self.auth, server_usn=media_usn, upload=upload)
        finally:
            self.col.reopen(after_full_sync=True)
        if media_usn is not None:
            self.wait_for_media()
        return None

    def sync_media(self):
        self.col.sync_media(self.auth)
        self.wait_for_media()
        return None

    def wait_for_media(self):
        # raises what the background thread failed with
        while self.col.media_sync_status().active:
            time.sleep(0.01)

    # -- looking

    def stamps(self):
        names = ["crt", "mod", "scm", "ver", "usn", "ls"]
        return dict(zip(names, self.col.db.first("select crt, mod, scm, ver, usn, ls from col")))

    def sql(self, query, args=()):
        """For stamps: two edits within one second are told apart by moving one of them. Notetypes and decks included."""
        return self.col.db.all(query, *args)

    def dump(self):
        return dump.tables(self.col)

    def integrity(self):
        message, ok = self.col.fix_integrity()
        return {"ok": ok, "message": message}

    def close(self):
        self.col.close()
        return None

    def close_schema_11(self):
        """As clients and servers before 2.1.50 left the file."""
        self.col.close(downgrade=True)
        return None

    # -- media folder

    def media_files(self):
        return media_files(self.col.media.dir())

    def media_write(self, files):
        """files: [{name, bytes (a number: that many pseudo-random bytes) or text}]; names as Anki stores them are returned."""
        return [self.col.media.write_data(f["name"], content(f)) for f in files]

    def media_replace(self, name, text):
        """New bytes under an old name, with a later time, so that the tracker notices within the same second."""
        path = os.path.join(self.col.media.dir(), name)
        later = os.stat(path).st_mtime + 2
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.utime(path + ".new", (later, later))
        os.rename(path + ".new", path)
        return None

    def media_write_raw(self, name, text):
        """Past Anki: as another program drops a file into the folder."""
        with open(os.path.join(self.col.media.dir(), name), "w", encoding="utf-8") as f:
            f.write(text)
        return None

    def media_trash(self, names):
        self.col.media.trash_files(names)
        return None


def content(file):
    if "text" in file:
        return file["text"].encode()
    size = file["bytes"]
    block = hashlib.sha512(file["name"].encode()).digest()
    # differs in each block, so that it neither packs nor repeats
    out = bytearray()
    counter = 0
    while len(out) < size:
        out += hashlib.sha512(block + counter.to_bytes(8, "big")).digest()
        counter += 1
    return bytes(out[:size])


def media_files(folder):
    found = {}
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    found[name] = hashlib.sha1(f.read()).hexdigest()
    return found


class Process:
    """All devices of this process, each with a thread of its own."""

    def __init__(self):
        self.devices = {}
        self.threads = {}
        self.writing = threading.Lock()
        self.last_id = 0
        self.last_creator = ""

    def run(self):
        for line in sys.stdin:
            command = json.loads(line)
            name = command.get("device", "")
            if name not in self.threads:
                self.threads[name] = ThreadPoolExecutor(max_workers=1)
            self.threads[name].submit(self.answer, command)
        for thread in self.threads.values():
            thread.shutdown(wait=False, cancel_futures=True)
        ANSWERS.close()
        os._exit(0)

    def answer(self, command):
        try:
            answer = {"id": command["id"], "ok": self.perform(command.get("device", ""), command["do"], command.get("args") or {})}
        except BaseException as error:
            answer = {"id": command["id"], "error": described(error)}
        with self.writing:
            ANSWERS.write(json.dumps(answer, ensure_ascii=True, default=str) + "\n")

    def perform(self, name, do, args):
        if do == "open":
            self.devices[name] = Device(args["folder"])
            return None
        if do == "open_copy":
            # of a file that someone else may hold: with its write-ahead log
            os.makedirs(args["folder"], exist_ok=True)
            target = os.path.join(args["folder"], "collection.anki2")
            for suffix in ("", "-wal"):
                if os.path.exists(args["path"] + suffix):
                    shutil.copyfile(args["path"] + suffix, target + suffix)
            self.devices[name] = Device(args["folder"])
            return None
        if do == "compare":
            left, right = (self.devices[args[side]].dump() for side in ("left", "right"))
            return dump.differences(left, right, args["kind"], args.get("also", ()))
        if do == "media_index":
            return dump.media_index(args["path"], args["folder"])
        device = self.devices[name]
        if do in edits.CREATING:
            self.wait_for_ids(name)
            try:
                return edits.COMMANDS[do](device.col, **args)
            finally:
                self.last_id = max(self.last_id, edits.last_id(device.col))
                self.last_creator = name
        if do in edits.COMMANDS:
            return edits.COMMANDS[do](device.col, **args)
        if do == "close":
            device.close()
            del self.devices[name]
            return None
        if do.startswith("_") or do == "wait_for_media" or not hasattr(Device, do):
            raise ValueError(f"unknown command {do}")
        return getattr(device, do)(**args)

    def wait_for_ids(self, name):
        """Ids are the time in ms, or the highest id and one: two people are never so quick that both get the same, but tests are."""
        ahead = self.last_id - time.time() * 1000
        if name != self.last_creator and -2 < ahead < 60_000:
            time.sleep((ahead + 2) / 1000)


def described(error):
    return {
        "type": type(error).__name__,
        "kind": error.kind.name if isinstance(error, SyncError) else None,
        "message": str(error),
        "trace": "".join(traceback.format_exception(error))[-3000:],
    }


if __name__ == "__main__":
    Process().run()
