"""More logins than there is time for."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.api import Api

pytestmark = pytest.mark.archstone_only

LOGINS = 24


def test_a_login_that_waited_too_long_is_told_to_come_back(start):
    server = start(
        {
            "identity": {"password_hash_rounds": "12"},
            "archstone": {"password_threads": 1, "password_wait": 1},
        }
    )
    admin = Api(server).as_admin()
    user = admin.post("/users", user={"name": "ada", "password": "wonderland"}).ok()["user"]["id"]

    def log_in(_):
        began = time.monotonic()
        return Api(server).login(user, "wonderland"), time.monotonic() - began

    # One after the other they take longer than any may wait.
    alone = log_in(0)[1]
    with ThreadPoolExecutor(LOGINS) as clients:
        told = list(clients.map(log_in, range(LOGINS)))
    statuses = Counter(answer.status for answer, _ in told)
    assert LOGINS * alone > 2, "the machine hashes too fast for this test"
    assert set(statuses) == {201, 503} and statuses[503] >= LOGINS - 2 - 2 / alone, (statuses, alone)
    for answer, took in told:
        if answer.status == 503:
            assert int(answer.fails(503).headers["Retry-After"]) > 0
    # Hashes are made at the lowest priority: how long one takes is up to the machine.
    assert max(took for _, took in told) < 2 + 8 * alone
    text = admin("GET", "/v3/../metrics").response.text
    counted = [line for line in text.splitlines() if line.startswith("archstone_password_waited_too_long_total")]
    assert float(counted[0].split()[-1]) == statuses[503]
