"""Writers at all nodes at once, of the same things and of different ones."""

import base64
import collections
import random
import secrets
import threading
import time

from load.client import Broken, Client
from load.facts import BOUND_S
from load.known import passcode
from load.nodes import logged


class Clash:
    """Writers at all nodes at once."""

    THREADS = 4

    def __init__(self, bench):
        self.bench = bench
        self.writers = len(bench.ports) * self.THREADS
        self.statuses = collections.defaultdict(collections.Counter)
        self.failed = []

    def at_once(self, name, deed, rounds):
        """Has each of the writers do `deed(client, writer, round)`, which gives an answer; all rounds' answers."""
        answers, lock, barrier = [], threading.Lock(), threading.Barrier(self.writers)

        def work(writer):
            place = writer % len(self.bench.ports)
            client = Client(self.bench.ports[place], self.bench.place.token)
            for number in range(rounds):
                barrier.wait(60)
                try:
                    answer = deed(client, writer, number)
                    status = answer.status
                except Broken as broken:
                    answer, status = None, str(broken)
                with lock:
                    self.statuses[name][status] += 1
                    answers.append((number, place, answer))
                    if answer is None or status >= 500:
                        why = logged(self.bench.nodes[place], answer.id) if answer is not None else []
                        why = [line for line in why if "status" not in line][-1:]
                        self.failed.append(f"{name} at node {place}: {status} {answer and answer.body[:120]!r} {why}")

        writers = [threading.Thread(target=work, args=[n]) for n in range(self.writers)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        return answers


def conflicts(bench):
    clash, report = Clash(bench), bench.report
    before = bench.database.conflicts()
    wrong = []

    torn = bench.user()
    emails = clash.at_once(
        "change one user",
        lambda client, writer, number: client.ask("PATCH", f"/v3/users/{torn}", {"user": {"email": f"{writer}-{number}@example.org"}}),
        15,
    )
    time.sleep(BOUND_S)
    told = {client.ask("GET", f"/v3/users/{torn}").json["user"].get("email") for client in bench.clients}
    if len(told) != 1 or not told.pop().endswith("@example.org"):
        wrong.append(f"nodes differ about a user's email: {told}")
    wrong += only("change one user", emails, {200})

    mark = time.monotonic_ns()
    for name, path, kind in (("user", "/v3/users", "user"), ("project", "/v3/projects", "project"), ("group", "/v3/groups", "group"), ("role", "/v3/roles", "role")):
        made = clash.at_once(
            f"create one {name}", lambda client, writer, number: client.ask("POST", path, {kind: {"name": f"one-{mark}-{number}"}}), 8
        )
        wrong += only(f"create one {name}", made, {201, 409})
        for number in range(8):
            if (winners := sum(a is not None and a.status == 201 for n, _, a in made if n == number)) != 1:
                wrong.append(f"{winners} of one {name} were created")

    grants = clash.at_once("grant and take one role", lambda client, w, n: client.ask(random.choice(["PUT", "DELETE"]), bench.grant(torn)), 15)
    wrong += only("grant and take one role", grants, {204, 404})

    many = clash.at_once(
        "create different users",
        lambda client, writer, number: client.ask("POST", "/v3/users", {"user": {"name": f"d-{mark}-{writer}-{number}", "password": "pw"}}),
        20,
    )
    wrong += only("create different users", many, {201})
    time.sleep(BOUND_S)
    for client in bench.clients:
        there = {one["id"] for one in client.ask("GET", "/v3/users").json["users"]}
        missing = [a.json["user"]["id"] for _, _, a in many if a is not None and a.status == 201 and a.json["user"]["id"] not in there]
        if missing:
            wrong.append(f"{len(missing)} created users are missing at {client.port}")

    doomed = [bench.user() for _ in range(8)]
    deleted = clash.at_once("delete one user", lambda client, w, number: client.ask("DELETE", f"/v3/users/{doomed[number]}"), len(doomed))
    wrong += only("delete one user", deleted, {204, 404})

    logins = clash.at_once("log one user in", lambda client, writer, number: client.login(torn, "pw"), 10)
    wrong += only("log one user in", logins, {201})

    wrong += passcodes_used_once(bench, clash)
    wrong += trust_used_up(bench, clash)

    report.title(f"{clash.writers} writers at all nodes at once")
    rows = [[name, ", ".join(f"{s}: {c}" for s, c in sorted(found.items(), key=str))] for name, found in clash.statuses.items()]
    report.table(["what", "answers"], rows)
    if before:
        failures, aborts = (now - then for now, then in zip(bench.database.conflicts(), before))
        report.note(f"Galera refused {failures} transactions and aborted {aborts} for others meanwhile")
    report.none("no client sees a conflict as a 5xx", clash.failed)
    report.none("each has one outcome, the same everywhere", wrong)


def only(name, answers, allowed):
    """What was answered with another status that is no 5xx, which are told elsewhere."""
    return [f"{name}: {a.status} {a.body[:120]!r}" for _, _, a in answers if a is not None and a.status < 500 and a.status not in allowed]


def passcodes_used_once(bench, clash):
    """The same passcode at all nodes at the same moment is good for one login."""
    rounds, users = 4, []
    for _ in range(rounds):
        user, secret = bench.user(), secrets.token_bytes(20)
        blob = base64.b32encode(secret).decode()
        bench.do("POST", "/v3/credentials", {"credential": {"user_id": user, "type": "totp", "blob": blob}})
        users.append((user, secret))
    time.sleep(BOUND_S)
    if time.time() % 30 > 24:
        time.sleep(30 - time.time() % 30)
    step = int(time.time()) // 30

    def log_in(client, _writer, number):
        user, secret = users[number]
        totp = {"user": {"id": user, "passcode": passcode(secret, step)}}
        return client.authenticate({"methods": ["totp"], "totp": totp})

    answers = clash.at_once("log in with one passcode", log_in, rounds)
    wrong = only("log in with one passcode", answers, {201, 401})
    for number in range(rounds):
        if (winners := sum(a is not None and a.status == 201 for n, _, a in answers if n == number)) != 1:
            wrong.append(f"a passcode was good for {winners} logins")
    return wrong


def trust_used_up(bench, clash):
    uses = 5
    lender, borrower = bench.user(), bench.user()
    trust = {
        "trustor_user_id": lender, "trustee_user_id": borrower, "project_id": bench.place.project,
        "impersonation": True, "roles": [{"id": bench.place.role}], "remaining_uses": uses,
    }  # fmt: skip
    made = bench.do("POST", "/v3/OS-TRUST/trusts", {"trust": trust}, X_Auth_Token=bench.token(lender))
    scope = {"OS-TRUST:trust": {"id": made.json["trust"]["id"]}}
    time.sleep(BOUND_S)
    answers = clash.at_once("use a trust with five uses", lambda client, w, n: client.login(borrower, "pw", scope), 2)
    wrong = only("use a trust", answers, {201, 401, 403})
    used = sum(a is not None and a.status == 201 for _, _, a in answers)
    return wrong + ([f"a trust with {uses} uses gave {used} tokens"] if used > uses else [])
