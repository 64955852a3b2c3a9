"""SIGKILL in the middle of writing: whatever was acknowledged is there after the restart."""

import threading
import time

import pytest
import requests

from harness.api import Api

CUTS = 3
WRITERS = 8
WRITING_S = 1.5
LOST = "lost"

pytestmark = pytest.mark.archstone_only


class Writer(threading.Thread):
    """Creates, changes and deletes users until the server is gone, and remembers what was acknowledged."""

    def __init__(self, server, token, name):
        super().__init__(name=name, daemon=True)
        self.api = Api(server, token)
        #: What may be found of each user: their email, or LOST. And who must be gone.
        self.kept, self.gone = {}, []
        self.refused = None

    def run(self):
        try:
            for number in range(1_000_000):
                self.write(number)
        except requests.RequestException:
            return
        except AssertionError as refused:
            self.refused = refused

    def write(self, number):
        user = self.api.post("/users", user={"name": f"{self.name}-{number}"}).ok()["user"]["id"]
        self.kept[user] = {None, email := f"{number}@example.org"}
        self.api.patch(f"/users/{user}", user={"email": email}).ok()
        self.kept[user] = {email}
        if number % 3 == 0:
            self.kept[user] = {email, LOST}
            self.api.delete(f"/users/{user}").ok()
            del self.kept[user]
            self.gone.append(user)


def test_no_acknowledged_write_is_lost(start):
    server = start()
    admin = Api(server).as_admin()
    for cut in range(CUTS):
        writers = [Writer(server, admin.token, f"cut{cut}-{number}") for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(WRITING_S)
        server.kill()
        for writer in writers:
            writer.join()
        server.start()
        assert not [writer.refused for writer in writers if writer.refused]
        found = {user["id"]: user.get("email") for user in admin.get("/users").ok()["users"]}
        kept = {user: allowed for writer in writers for user, allowed in writer.kept.items()}
        assert len(kept) > WRITERS, "hardly anything was written before the cut"
        wrong = {user: found.get(user, LOST) for user, allowed in kept.items() if found.get(user, LOST) not in allowed}
        assert not wrong
        assert not set(found) & {user for writer in writers for user in writer.gone}


def test_tokens_outlive_a_restart_and_revocations_too(start):
    server = start()
    admin = Api(server).as_admin()
    revoked, kept = admin.as_admin().token, admin.as_admin().token
    admin.delete("/auth/tokens", headers={"X-Subject-Token": revoked}).ok()
    server.kill()
    server.start()
    admin.validate(kept).ok()
    admin.validate(revoked).fails(404)
