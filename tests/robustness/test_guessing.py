"""Who fails to log in too often waits; nobody else does."""

import time

import pytest
import requests

from harness.api import Api

pytestmark = pytest.mark.archstone_only

PASSWORD = "wonderland"
PROXY = {"trusted_proxies": "127.0.0.1", "assertion_header_prefix": "X-Idp-"}


@pytest.fixture
def guarded(start):
    # One more guess every second.
    server = start({"archstone": {"failed_logins_per_user": "60", "failed_logins_per_address": "90", **PROXY}})
    admin = Api(server).as_admin()
    ids = {name: admin.post("/users", user={"name": name, "password": PASSWORD}).ok()["user"]["id"] for name in ["ada", "bob"]}

    def log_in(user, password=PASSWORD, client="192.0.2.1"):
        user = {"id": ids.get(user, user), "password": password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        headers = {"X-Forwarded-For": f"203.0.113.9, {client}"}
        return requests.post(f"{server.url}/auth/tokens", json=body, headers=headers, timeout=60)

    return log_in


def statuses(answers):
    return [answer.status_code for answer in answers]


def test_a_guesser_waits_and_the_user_logs_in_from_elsewhere(guarded):
    guesses = [guarded("ada", f"guess {number}") for number in range(75)]
    assert statuses(guesses)[:60] == [401] * 60 and guesses[-1].status_code == 429
    refused = guesses[-1]
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    error = refused.json()["error"]
    assert error["code"] == 429 and error["title"] == "Too Many Requests" and "Try again" in error["message"]
    # Not even the right password is looked at, until it is time.
    assert guarded("ada").status_code == 429
    assert guarded("bob").status_code == 201
    assert guarded("ada", client="192.0.2.2").status_code == 201
    time.sleep(int(refused.headers["Retry-After"]))
    assert guarded("ada").status_code == 201


def test_an_address_that_tries_many_users_waits(guarded):
    sprayed = statuses(guarded(f"somebody {number}", "password1") for number in range(110))
    assert sprayed[:90] == [401] * 90 and sprayed[-1] == 429
    assert guarded("ada").status_code == 429
    assert guarded("ada", client="198.51.100.7").status_code == 201


def test_who_succeeds_never_waits(guarded):
    assert statuses(guarded("ada") for _ in range(100)) == [201] * 100
