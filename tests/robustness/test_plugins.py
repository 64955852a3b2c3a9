"""Plugins that are swapped under load, and plugins that misbehave."""

import base64
import hashlib
import hmac
import itertools
import json
import struct
import threading
import time

import pytest

from harness.api import Api
from harness.plugins import plugin, rebuilt, wait_until

SWAPS = 20
SWAP_EVERY_S = 0.7
CLIENTS = 4
PERIOD_S = 30
#: The totp plugin takes this many passcodes before the present one, each of them once.
WINDOWS = 10

pytestmark = pytest.mark.archstone_only


def passcode(secret, at):
    """The time-based one-time password of RFC 6238: SHA-1, six digits, every thirty seconds."""
    digest = hmac.new(secret, struct.pack(">Q", int(at) // PERIOD_S), hashlib.sha1).digest()
    place = digest[-1] & 15
    number = struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def version(name, directory, number):
    """A file with the same component as another version."""
    path = directory / f"{name}-{number}.wasm"
    path.write_bytes(rebuilt(name, number))
    return path


@pytest.fixture
def server(start):
    config = {
        "auth": {"methods": "password,token,totp,hostile,application_credential"},
        "archstone": {"plugin_directory": "{dir}/plugins"},
    }
    started = start(config)
    grants = {"totp": {"credentials": ["totp"]}, "hostile": {"http": {"origins": ["https://idp.invalid"]}}}
    (started.directory / "plugins").mkdir(exist_ok=True)
    for name, grant in grants.items():
        settings = {"grant": grant} | ({"config": {"included_previous_windows": 10}} if name == "totp" else {})
        (started.directory / "plugins" / f"{name}.json").write_text(json.dumps(settings))
    return started


class Enrolled:
    """Users with a secret each, whose passcodes are all used once."""

    def __init__(self, admin, count):
        self.users = []
        for number in range(count):
            user = admin.post("/users", user={"name": f"totp-{number}"}).ok()["user"]["id"]
            secret = hashlib.sha256(user.encode()).digest()[:20]
            blob = base64.b32encode(secret).decode()
            admin.post("/credentials", credential={"type": "totp", "blob": blob, "user_id": user}).ok()
            self.users.append((user, secret))
        self.lock = threading.Lock()
        self.unused = itertools.product(range(WINDOWS - 1, -1, -1), self.users)

    def login(self, api):
        with self.lock:
            back, (user, secret) = next(self.unused)
        code = passcode(secret, time.time() - back * PERIOD_S)
        return api.authenticate({"identity": {"methods": ["totp"], "totp": {"user": {"id": user, "passcode": code}}}})


def test_a_plugin_is_swapped_under_load_without_a_failed_login(server, tmp_path):
    server.archstone("plugin", "install", plugin("totp"))
    admin = Api(server).as_admin()
    enrolled = Enrolled(admin, 400)
    wait_until(lambda: enrolled.login(admin).status == 201, "the first login with totp")
    answers, done = [], threading.Event()

    def log_in():
        api = Api(server)
        while not done.is_set():
            answers.append(enrolled.login(api))
            time.sleep(0.03)

    clients = [threading.Thread(target=log_in) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for number in range(SWAPS):
            server.archstone("plugin", "install", "--name", "totp", version("totp", tmp_path, number))
            time.sleep(SWAP_EVERY_S)
    finally:
        done.set()
        for client in clients:
            client.join()
    failed = [answer.told() for answer in answers if answer.status != 201]
    assert not failed
    assert len(answers) > SWAPS * CLIENTS
    assert next(enrolled.unused, None), "the passcodes ran out before the swaps were done"
    assert "totp" in server.archstone("plugin", "list").stdout


def test_a_hostile_plugin_costs_that_login_only(server):
    server.archstone("plugin", "install", plugin("hostile"))
    admin = Api(server).as_admin()

    def misbehave(misdeed):
        misdeed = misdeed if isinstance(misdeed, dict) else {misdeed: None}
        return admin.authenticate({"identity": {"methods": ["hostile"], "hostile": misdeed}})

    wait_until(lambda: misbehave("nothing").status != 500, "the plugin's start")
    slowest, done = [0.0], threading.Event()

    def validate():
        api = Api(server, admin.token)
        while not done.is_set():
            began = time.monotonic()
            api.validate(admin.token).ok()
            slowest.append(time.monotonic() - began)

    watcher = threading.Thread(target=validate)
    watcher.start()
    misdeeds = ["loop-forever", "take-all-memory", "recurse-forever", "trap", {"assert-of-megabytes": 100},
                "claims-that-are-no-object", "empty-subject", "claim-an-account", "log-forever", "digest-forever"]  # fmt: skip
    try:
        for misdeed in misdeeds:
            answer = misbehave(misdeed)
            assert answer.status in (401, 503), answer.told()
            admin.as_admin()
    finally:
        done.set()
        watcher.join()
    assert max(slowest) < 5
    admin.get("/users").ok()


def test_a_broken_plugin_never_replaces_one_that_works(server, tmp_path):
    server.archstone("plugin", "install", plugin("totp"))
    admin = Api(server).as_admin()
    enrolled = Enrolled(admin, 20)
    enrolled.unused = iter([(0, user) for user in enrolled.users])
    wait_until(lambda: enrolled.login(admin).status == 201, "the first login with totp")
    broken = tmp_path / "totp.wasm"
    broken.write_bytes(b"\0asm nothing of the kind")
    refused = server.archstone("plugin", "install", broken, check=False)
    assert refused.returncode != 0 and "totp" in refused.stdout + refused.stderr
    enrolled.login(admin).ok()


def test_a_rollback_is_one_command(server, tmp_path):
    server.archstone("plugin", "install", plugin("totp"))
    server.archstone("plugin", "install", "--name", "totp", version("totp", tmp_path, 1))
    before = server.archstone("plugin", "show", "totp").stdout
    server.archstone("plugin", "rollback", "totp")
    assert server.archstone("plugin", "show", "totp").stdout != before
