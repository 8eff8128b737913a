"""Real Anki devices of old releases, driven by JSON lines as device.py's are. Written for Python 3.8, and for every API since 2.1.26.

How a release talks to its server is the affair of one of the modules beside this one.
"""
import json
import os
import shutil
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

# Answers get a descriptor of their own: whatever Anki prints goes to stderr and cannot mix with them.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
os.dup2(2, 1)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import edits  # noqa: E402


def client_of(generation):
    if generation == "python":
        import python_syncer as module
    elif generation == "forms":
        import forms_syncer as module
    else:
        import header_syncer as module
    return module


CLIENT = client_of(sys.argv[1])


class Device:
    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "collection.anki2")
        self.col = CLIENT.open_collection(self.path)
        self.auth = None
        self.media_writes = 0

    def login(self, user, password, endpoint):
        self.auth = CLIENT.login(self.col, user, password, endpoint)
        return {"key": CLIENT.key_of(self.auth)}

    def set_key(self, key, endpoint):
        self.auth = CLIENT.auth_of(key, endpoint)

    def sync(self):
        out = CLIENT.sync(self.col, self.auth)
        edits.forget_what_was_cached(self.col)
        return out

    def full(self, upload):
        self.col = CLIENT.full(self.col, self.auth, self.path, upload)
        edits.forget_what_was_cached(self.col)

    def sync_media(self):
        CLIENT.sync_media(self.col, self.auth)

    def sql(self, query, args=()):
        if query.lstrip().lower().startswith("select"):
            return self.col.db.all(query, *args)
        self.col.db.execute(query, *args)

    def export(self, path):
        """The collection as a file, for another Anki to look at."""
        CLIENT.close(self.col)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(self.path, path)
        self.col = CLIENT.open_collection(self.path)

    def close(self):
        CLIENT.close(self.col)

    def media_write(self, name, text):
        with open(os.path.join(self.col.media.dir(), name), "w", encoding="utf-8") as f:
            f.write(text)
        self.touch_media()

    def media_delete(self, name):
        os.unlink(os.path.join(self.col.media.dir(), name))
        self.touch_media()

    def touch_media(self):
        """Folders are looked through when their time changed, in seconds."""
        self.media_writes += 1
        now = os.stat(self.col.media.dir()).st_mtime
        os.utime(self.col.media.dir(), (now + self.media_writes, now + self.media_writes))

    def media_files(self):
        folder = self.col.media.dir()
        found = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                found[name] = f.read()
        return found


class Process:
    """All devices of this process, each with a thread of its own."""

    def __init__(self):
        self.devices = {}
        self.threads = {}
        self.writing = threading.Lock()

    def run(self):
        for line in sys.stdin:
            command = json.loads(line)
            name = command.get("device", "")
            if name not in self.threads:
                self.threads[name] = ThreadPoolExecutor(max_workers=1)
            self.threads[name].submit(self.answer, command)
        for thread in self.threads.values():
            thread.shutdown(wait=True)
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
        device = self.devices[name]
        if do in edits.COMMANDS:
            return edits.COMMANDS[do](device.col, **args)
        if do == "close":
            device.close()
            del self.devices[name]
            return None
        if do.startswith("_") or not hasattr(Device, do):
            raise ValueError(f"unknown command {do}")
        return getattr(device, do)(**args)


def described(error):
    return {
        "type": type(error).__name__,
        "kind": "AUTH" if CLIENT.is_auth_error(error) else None,
        "message": str(error),
        "trace": "".join(traceback.format_exception(type(error), error, error.__traceback__))[-3000:],
    }


if __name__ == "__main__":
    Process().run()
