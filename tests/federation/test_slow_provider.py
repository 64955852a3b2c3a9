"""A provider that does not answer costs those who log in by it, and nobody else."""

import json
import socket
import threading
import time

import pytest
import requests

from federation.conftest import Domain
from federation.test_workloads import RULES, Ci, configured
from harness.api import Api
from harness.plugins import plugin
from harness.servers import Archstone

WAITING = 200
#: How long the provider is waited for: longer than all that others do meanwhile.
PATIENCE_S = 20


class Silent:
    """Shows its keys once, and then takes connections and never says anything."""

    def __init__(self, keys):
        # More of them than a plugin keeps, so that each login asks for them.
        keys = [{**key, "kid": f"{key['kid']}-{number}"} for number in range(500) for key in keys] + keys
        body = json.dumps({"keys": keys})
        self.says = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=WAITING * 2)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        with self.listener.accept()[0] as first:
            first.recv(65536)
            first.sendall(self.says.encode())
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return

    def stop(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def ci():
    return Ci()


@pytest.fixture
def silent(ci):
    silent = Silent(ci.keys["keys"])
    yield silent
    silent.stop()


@pytest.fixture
def server(silent, tmp_path):
    config = {"archstone": {"plugin_directory": "{dir}/plugins"}}
    server = Archstone(tmp_path / "main", config).prepare()
    (server.directory / "plugins").mkdir(exist_ok=True)
    settings = {
        "grant": {
            "http": {
                "origins": [silent.url],
                "private_networks": ["127.0.0.0/8"],
                "timeout_ms": PATIENCE_S * 1000,
            }
        },
        "limits": {"concurrency": WAITING, "deadline_ms": (PATIENCE_S + 5) * 1000},
    }
    (server.directory / "plugins" / "jwt.json").write_text(json.dumps(settings))
    server.archstone("plugin", "install", plugin("jwt"))
    server.start()
    yield server
    server.stop()


def test_logins_that_wait_cost_nothing_to_others(server, silent, ci):
    acme = Domain(server, "acme")
    quick = acme.connect("jwt", configured(ci, replay="allow"), rules=RULES)
    slow = configured(ci, replay="allow", jwks_uri=f"{silent.url}/keys")
    del slow["keys"]
    slow = acme.connect("jwt", slow, rules=RULES)
    token = ci.token()
    headers = {"Authorization": f"Bearer {token}"}
    answers = []

    def wait():
        path = f"{server.base}/v4/connectors/{slow['id']}/token"
        answers.append(requests.post(path, headers=headers, json={}, timeout=60).status_code)

    waiting = [threading.Thread(target=wait) for _ in range(WAITING)]
    for thread in waiting:
        thread.start()
    deadline = time.monotonic() + PATIENCE_S / 2
    while len(silent.connections) < WAITING * 0.9:
        assert time.monotonic() < deadline, f"only {len(silent.connections)} logins wait"
        time.sleep(0.05)
    # Whoever does anything else is served while all of them wait.
    admin = Api(server).as_admin()
    admin.validate(admin.token).ok()
    path = f"{server.base}/v4/connectors/{quick['id']}/token"
    assert requests.post(path, headers=headers, json={}).status_code == 201
    assert not answers, "the logins did not wait long enough to show anything"
    for thread in waiting:
        thread.join()
    assert set(answers) == {503} and len(answers) == WAITING
