"""Plays plans of random rounds with real Anki devices. JSON lines as in test/client/device.py:

    play     {folder, endpoint, user, password, plan, collection, media, keep}: plays a plan as a new user and keeps the snapshot
    compare  {left, right}: sentences
    forget   {names}
"""
import json
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../../client"))

from device import Device, Process, described  # noqa: E402

from anki.collection import Collection  # noqa: E402
from anki.errors import SyncError  # noqa: E402
from anki.sync import SyncAuth  # noqa: E402

import compared  # noqa: E402
from actions import ACTIONS, Nothing  # noqa: E402
from clock import BASE_SECS, Clock  # noqa: E402
from cut import CutLine  # noqa: E402


class Round:
    def __init__(self, players, folder, endpoint, user, password, plan, collection, media):
        self.folder = folder
        self.endpoint = endpoint
        self.plan = plan
        self.server_files = collection, media
        self.devices = {}
        self.log = []
        key = None
        for i, name in enumerate(plan["devices"]):
            path = os.path.join(folder, name)
            os.makedirs(path, exist_ok=True)
            shutil.copyfile(players.template(folder), os.path.join(path, "collection.anki2"))
            device = self.devices[name] = Device(path)
            # the first one is the user's oldest collection; the others were made later, each at a time of its own
            device.col.db.execute("update col set scm = scm + ?, mod = mod + ?", i, i)
            if key is None:
                key = device.login(user, password, endpoint)["key"]
            device.auth = SyncAuth(hkey=key, endpoint=endpoint)

    def play(self):
        for i, step in enumerate(self.plan["steps"]):
            device = self.devices[step["device"]]
            try:
                outcome = self.perform(device, i, step["do"], step.get("args", {}), step.get("secs", 0))
            except Nothing:
                outcome = "nothing"
            except SyncError as error:
                outcome = f"sync error {error.kind.name}"
                device.col._load_scheduler()
            except Exception as error:
                outcome = f"{type(error).__name__} {str(error)[:80]}"
            if step["do"] in ("sync", "cut", "one_way"):
                # a change within the millisecond of the server's `finish` looks like no change, and no person is so quick
                time.sleep(0.003)
            device.col.models._clear_cache()
            self.log.append({"step": f"{step['device']} {step['do']}", "outcome": outcome})

    def perform(self, device, i, do, args, secs):
        if do == "sync":
            return self.sync(device, **args)
        if do == "media":
            device.sync_media()
            return "synced"
        if do == "cut":
            return self.cut(device, **args)
        if do == "one_way":
            # as a person does it in the preferences
            device.col.mod_schema(check=False)
            return self.sync(device, **args)
        clock = Clock(self.plan["numbers"][i], secs)
        try:
            return ACTIONS[do](device.col, clock, **args)
        finally:
            clock.settle(device.col)

    def sync(self, device, upload=False, media=False):
        required = device.sync()["required"]
        if required.startswith("FULL"):
            device.full(upload=required == "FULL_UPLOAD" or (required == "FULL_SYNC" and upload))
        if media:
            device.sync_media()
        return required

    def cut(self, device, method, after, silent, media=False):
        line = CutLine(self.endpoint, method, after, silent)
        device.auth.endpoint = line.endpoint
        try:
            if media:
                device.sync_media()
                return "media synced"
            return device.sync()["required"]
        finally:
            device.auth.endpoint = self.endpoint
            line.close()

    def snapshot(self):
        collections = {name: compared.snapshot_of_collection(device.col) for name, device in self.devices.items()}
        unalike = compared.unalike_devices(collections, list(self.devices))
        media = {name: compared.snapshot_of_media_folder(device.col.media.dir()) for name, device in self.devices.items()}
        path, index = self.server_files
        if os.path.exists(path):
            copy = os.path.join(self.folder, "server")
            os.makedirs(copy, exist_ok=True)
            for suffix in ("", "-wal"):
                if os.path.exists(path + suffix):
                    shutil.copyfile(path + suffix, os.path.join(copy, "collection.anki2") + suffix)
            col = Collection(os.path.join(copy, "collection.anki2"))
            collections["server"] = compared.snapshot_of_collection(col)
            col.close()
        media["server"] = compared.snapshot_of_media_index(index, os.path.join(self.folder, "server-media"))
        compared.order_times(collections)
        return {"log": self.log, "collections": collections, "media": media}, unalike

    def close(self):
        for device in self.devices.values():
            device.close()


class Players(Process):
    def __init__(self):
        super().__init__()
        self.snapshots = {}
        self.made = None

    def template(self, folder):
        """An empty collection, the same for all: its notetypes have ids made from the clock."""
        if self.made is None:
            path = os.path.join(os.path.dirname(folder), "template.anki2")
            if not os.path.exists(path):
                col = Collection(path)
                col.set_config("creationOffset", 0)
                col.db.execute("update col set crt = ?, mod = 1000, scm = 1000", (BASE_SECS - 86400 * 30) // 86400 * 86400 + 14400)
                for i, (old,) in enumerate(col.db.all("select id from notetypes order by id")):
                    new = (BASE_SECS - 86400) * 1000 + i
                    col.db.execute("update notetypes set id = ?, mtime_secs = ? where id = ?", new, BASE_SECS, old)
                    col.db.execute("update fields set ntid = ? where ntid = ?", new, old)
                    col.db.execute("update templates set ntid = ? where ntid = ?", new, old)
                    if col.get_config("curModel") == old:
                        col.set_config("curModel", new)
                for table in ("decks", "deck_config"):
                    col.db.execute(f"update {table} set mtime_secs = ?", BASE_SECS)
                col.close()
            self.made = path
        return self.made

    def perform(self, name, do, args):
        if do == "play":
            keep = args.pop("keep")
            os.makedirs(args["folder"], exist_ok=True)
            round = Round(self, **args)
            try:
                round.play()
                self.snapshots[keep], unalike = round.snapshot()
            finally:
                round.close()
                shutil.rmtree(args["folder"], ignore_errors=True)
            return {"unalike": unalike, "outcomes": [entry["outcome"] for entry in round.log]}
        if do == "compare":
            return compared.differences(self.snapshots[args["left"]], self.snapshots[args["right"]])
        if do == "forget":
            for name in args["names"]:
                self.snapshots.pop(name, None)
            return None
        raise ValueError(f"unknown command {do}")


if __name__ == "__main__":
    Players().run()
