"""A guest that asks its system for what no plugin has. The payload says for what; the claims say what
it got."""

import json
import os
import random
import socket
import sys
import time

import wit_world
from wit_world.imports import clock
from wit_world.imports.authentication import Outcome_Asserted
from wit_world.imports.outcomes import Assertion
from wit_world.imports.types import Description, Proof


def attempt(work):
    try:
        return work()
    except OSError as error:
        return f"refused: {type(error).__name__}"


def write_file():
    with open("/tmp/archstone-hostile", "w") as file:
        file.write("here")


MISDEEDS = {
    "nothing": lambda: None,
    "environment": lambda: dict(os.environ),
    "arguments": lambda: sys.argv[1:],
    "standard-input": lambda: sys.stdin.read(),
    "read-file": lambda: open("/etc/passwd").read(),
    "write-file": write_file,
    "list-files": lambda: os.listdir("/"),
    "connect": lambda: socket.create_connection(("127.0.0.1", 80), 1),
    "resolve": lambda: socket.getaddrinfo("localhost", 80),
    "sleep": lambda: time.sleep(60),
    "exit": lambda: os._exit(0),
    "print": lambda: print("to standard output") or print("to standard error", file=sys.stderr),
    "print-forever": lambda: sum(1 for _ in range(100_000) if print("x" * 1000) is None),
    "time": lambda: [int(time.time()), clock.now().seconds, time.monotonic() > 0],
    "random": lambda: os.urandom(16).hex(),
    # Seeded when the component was built: the same for ever, unless the author seeds it again.
    "random-again": lambda: random.SystemRandom().getrandbits(128),
}


class WitWorld(wit_world.WitWorld):
    def describe(self):
        return Description(
            name="hostile-py",
            version="0.1.0",
            summary="Asks its system for everything",
            proves=Proof.SUBJECT,
            config_schema='{"type": "object"}',
            secret_fields=[],
            server_fields=[],
            capabilities=[],
        )

    def check(self, config):
        pass

    def authenticate(self, step):
        misdeed = json.loads(step.payload)["do"]
        got = attempt(MISDEEDS[misdeed])
        return Outcome_Asserted(Assertion("mallory", json.dumps({"got": got})))
