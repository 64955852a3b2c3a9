"""Several nodes of Archstone with the same keys, each with a directory and a log of its own."""

import json
import shutil
import sys
import time
from pathlib import Path

from harness.api import Api
from harness.plugins import rebuilt
from harness.servers import Archstone

#: Options of every node; `{keys}` is the directory that they share.
CONFIG = {
    "fernet_tokens": {"key_repository": "{keys}/fernet-keys"},
    "fernet_receipts": {"key_repository": "{keys}/receipt-keys"},
    "credential": {"key_repository": "{keys}/credential-keys"},
    "token": {"expiration": 14400},
}
WASM = {"Content-Type": "application/wasm"}


class Nodes:
    """`connections` has a database URL for each node; the schema is made through the first."""

    def __init__(self, directory, connections, config=None):
        self.directory = Path(directory)
        (keys := self.directory / "keys").mkdir(parents=True)
        self.all = []
        for number, connection in enumerate(connections):
            node = Archstone(self.directory / f"node-{number}", {"database": {"connection": connection}})
            for section, options in {**CONFIG, **(config or {})}.items():
                told = {name: str(value).replace("{keys}", str(keys)) for name, value in options.items()}
                node.config.setdefault(section, {}).update(told)
            self.all.append(node)

    def start(self):
        first, *others = self.all
        first.prepare()
        for node in others:
            node.directory.mkdir(parents=True)
            node.write_config()
        for node in self.all:
            node.start()
        return self

    def stop(self):
        for node in self.all:
            node.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def end(self, keep):
        """Stops the nodes and removes the directory that theirs are in, or kills them and says where it is kept."""
        if keep:
            print(f"kept: {self.directory.parent}", file=sys.stderr)
            for node in self.all:
                node.kill()
        else:
            self.stop()
            self.directory.parent.rmdir()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *failure):
        self.stop()

    def __getitem__(self, number):
        return self.all[number]

    @property
    def admin(self):
        """The administrator at the first node."""
        return Api(self.all[0]).as_admin()

    def install(self, name, version=0, settings=None):
        """Installs a bundled plugin on all nodes, as the version of that number; gives its digest."""
        admin = self.admin
        admin("PUT", f"/v4/plugins/{name}/settings", json={"settings": settings or {}}).ok()
        digest = self.replace(name, version, admin)
        deadline = time.monotonic() + 60
        while any(self.serving(node, name, admin.token) != digest for node in self.all):
            assert time.monotonic() < deadline, f"{name} does not serve everywhere"
            time.sleep(0.1)
        return digest

    def replace(self, name, version, admin=None):
        artifact = rebuilt(name, version)
        installed = (admin or self.admin)("PUT", f"/v4/plugins/{name}/artifact", headers=WASM, data=artifact)
        return installed.ok()["plugin"]["digest"]

    def serving(self, node, name, token):
        """The digest of what a node serves under this name."""
        listed = Api(node, token).get("/v4/plugins").ok()["plugins"]
        return next((one["digest"] for one in listed if one["name"] == name), None)


def logged(node, request_id):
    """What a node's log says of one request, apart from that it was answered."""
    log = (node.directory / "output.log").read_text(errors="replace").splitlines()
    lines = [json.loads(line) for line in log if request_id in line and line.startswith("{")]
    return [line["fields"] for line in lines if line["fields"].get("message") != "answered"]
