"""Many writers at once on SQLite: each gets a clear answer, and none a 5xx."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.api import Api

WRITERS = 16
ROUNDS = 25

pytestmark = pytest.mark.archstone_only


def at_once(work):
    """Runs `work(writer)` in every writer's thread, and gives what they gave."""
    with ThreadPoolExecutor(WRITERS) as writers:
        return list(writers.map(work, range(WRITERS)))


def test_writers_of_different_things_all_succeed(server, admin):
    role = admin.role("member")

    def write(writer):
        api, statuses = Api(server, admin.token), Counter()

        def told(answer):
            statuses[answer.status] += 1
            return answer.ok().json

        for number in range(ROUNDS):
            name = f"w{writer}-{number}"
            user = told(api.post("/users", user={"name": name, "password": "x"}))["user"]["id"]
            project = told(api.post("/projects", project={"name": name}))["project"]["id"]
            statuses[api.put(f"/projects/{project}/users/{user}/roles/{role}").ok().status] += 1
            told(api.patch(f"/users/{user}", user={"email": f"{name}@example.org"}))
            statuses[api.login(user, "x", {"project": {"id": project}}).ok().status] += 1
            statuses[api.delete(f"/projects/{project}").ok().status] += 1
        return statuses

    total = sum(at_once(write), Counter())
    assert total == {201: WRITERS * ROUNDS * 3, 204: WRITERS * ROUNDS * 2, 200: WRITERS * ROUNDS}
    assert len(admin.get("/users").ok()["users"]) >= WRITERS * ROUNDS


def test_writers_of_one_name_have_one_winner(server, admin):
    for number in range(ROUNDS):
        answers = at_once(lambda writer: Api(server, admin.token).post("/users", user={"name": f"one-{number}"}).status)
        assert Counter(answers) == {201: 1, 409: WRITERS - 1}


def test_a_grant_given_and_taken_at_once_is_never_an_error(server, admin):
    user = admin.post("/users", user={"name": "torn"}).ok()["user"]["id"]
    project = admin.post("/projects", project={"name": "torn"}).ok()["project"]["id"]
    role = admin.role("member")
    path = f"/projects/{project}/users/{user}/roles/{role}"

    def tear(writer):
        api = Api(server, admin.token)
        return [(api.put(path) if (writer + number) % 2 else api.delete(path)).status for number in range(ROUNDS)]

    statuses = Counter(status for answers in at_once(tear) for status in answers)
    assert set(statuses) <= {204, 404}


def test_a_user_deleted_while_others_log_in(server, admin):
    def race(number):
        user = admin.post("/users", user={"name": f"gone-{number}", "password": "x"}).ok()["user"]["id"]

        def act(writer):
            api = Api(server, admin.token)
            return api.delete(f"/users/{user}").status if writer == 0 else api.login(user, "x").status

        return at_once(act)

    for number in range(5):
        statuses = race(number)
        assert statuses[0] == 204
        assert set(statuses[1:]) <= {201, 401}


def test_a_trust_gives_no_more_tokens_than_it_has_uses(server, admin):
    uses = 5
    role = admin.role("member")
    project = admin.post("/projects", project={"name": "lent"}).ok()["project"]["id"]
    lender, borrower = (
        admin.post("/users", user={"name": name, "password": "x"}).ok()["user"]["id"] for name in ("lender", "borrower")
    )
    admin.put(f"/projects/{project}/users/{lender}/roles/{role}").ok()
    trust = (
        admin.as_user(lender, "x", {"project": {"id": project}})
        .post(
            "/OS-TRUST/trusts",
            trust={
                "trustor_user_id": lender,
                "trustee_user_id": borrower,
                "project_id": project,
                "impersonation": True,
                "roles": [{"id": role}],
                "remaining_uses": uses,
            },
        )
        .ok()["trust"]["id"]
    )
    scope = {"OS-TRUST:trust": {"id": trust}}
    answers = Counter(at_once(lambda writer: Api(server).login(borrower, "x", scope).status))
    assert answers[201] == uses
    assert set(answers) <= {201, 401, 403}
    Api(server).login(borrower, "x", scope).fails(401)
