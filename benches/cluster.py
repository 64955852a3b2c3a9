#!/usr/bin/env python3
"""Three nodes of Archstone behind HAProxy, on a Galera cluster and on PostgreSQL: throughput, staleness, crashes, conflicts.

    target/venv/bin/python benches/cluster.py [--database galera|postgres|both] [--only PHASE ...] [--write]

On Galera, each node of Archstone talks to a database node of its own. Workers know what every answer has to be
(load/known.py). Exits with 1 where something that has to be so is not. `--write` puts the report in
docs/performance.md. Needs Debian's haproxy, wrk, galera-4, mariadb-server, rsync and postgresql, and built plugins.
"""

import argparse
import collections
import pathlib
import random
import sys
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

from harness.balancer import Balancer  # noqa: E402
from harness.databases import PostgreSql  # noqa: E402
from harness.galera import SUSPECT_AFTER_S, Galera  # noqa: E402
from harness.servers import Archstone  # noqa: E402
from load import federated  # noqa: E402
from load.client import Broken, Client, validations  # noqa: E402
from load.findings import Findings  # noqa: E402
from load.known import BOUND_S, Crowd, Place, passcode  # noqa: E402
from load.nodes import Nodes, logged  # noqa: E402
from load.run import OutOfTime, bounded  # noqa: E402
from report import number  # noqa: E402
from wrk import LoadFailed  # noqa: E402

MEMBERS = 3
TRIES = 10
#: What the configuration of connectors and plugins may take.
PLUGIN_BOUND_S = 2.0
WORKERS = 8
PAUSE_S = 0.01
#: How long after a crash requests may fail, and after a crash of the database.
NODE_WINDOW_S, DATABASE_WINDOW_S = 5.0, 5.0 + 4 * SUSPECT_AFTER_S
PHASES = ("throughput", "spread", "conflicts", "node", "rolling", "database")


class OnGalera:
    title = "Galera, three nodes"

    def __init__(self):
        self.cluster = Galera(MEMBERS).start()

    def connections(self):
        return self.cluster.fresh()

    def fail(self):
        """Takes down what the last node of Archstone talks to."""
        self.cluster.nodes[-1].crash()

    def mend(self):
        self.cluster.nodes[-1].come_back()
        self.cluster.nodes[-1].wait(MEMBERS)

    def conflicts(self):
        return self.cluster.count("wsrep_local_cert_failures"), self.cluster.count("wsrep_local_bf_aborts")

    def stop(self):
        self.cluster.stop()


class OnPostgres:
    title = "PostgreSQL, one server"

    def __init__(self):
        self.server = PostgreSql(durable=True).start()

    def connections(self):
        return [self.server.fresh()] * MEMBERS

    def fail(self):
        self.server.crash()

    def mend(self):
        self.server.serve()

    def conflicts(self):
        return None

    def stop(self):
        self.server.stop()


KINDS = {"galera": OnGalera, "postgres": OnPostgres}


class Bench:
    """The nodes, and an administrator's client at each."""

    def __init__(self, database, nodes, report):
        self.database, self.nodes, self.report = database, nodes, report
        self.place = Place(nodes.admin)
        self.clients = [Client(node.port, self.place.token) for node in nodes.all]
        self.domain = federated.Domain(nodes)
        self.place.connector, self.place.jwt = self.domain.connector, self.domain.ci.token
        self.place.totp = True
        nodes.install("totp", settings={"grant": {"credentials": ["totp"]}})
        self.ports = [node.port for node in nodes.all]
        time.sleep(PLUGIN_BOUND_S)

    def do(self, method, path, body=None, node=0, **headers):
        answer = self.clients[node].ask(method, path, body, **headers)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body[:300]!r}"
        return answer

    def user(self, name=None, member=True):
        """A new user with the password `pw`, a member of the project, that all nodes know."""
        body = {"user": {"name": name or f"u-{time.monotonic_ns()}", "password": "pw"}}
        user = self.do("POST", "/v3/users", body).json["user"]["id"]
        if member:
            self.do("PUT", self.grant(user))
        self.known("GET", f"/v3/users/{user}")
        return user

    def grant(self, user):
        return f"/v3/projects/{self.place.project}/users/{user}/roles/{self.place.role}"

    def known(self, method, path):
        deadline = time.monotonic() + 10
        while any(client.ask(method, path).status >= 300 for client in self.clients):
            assert time.monotonic() < deadline, f"{path} is not everywhere"
            time.sleep(0.005)
        time.sleep(0.05)

    def token(self, user, node=0, scope=True):
        answer = self.clients[node].login(user, "pw", self.place.scope if scope else None)
        assert answer.status == 201, f"login: {answer.status} {answer.body[:300]!r}"
        return answer.token


# Throughput


def throughput(bench):
    rows = []
    for count in range(1, MEMBERS + 1):
        with Balancer(bench.nodes.all[:count]) as balancer:
            validations(balancer, bench.place.token, seconds=1)
            rows.append([count, *figures(validations(balancer, bench.place.token))])
    rows.append(["1, without HAProxy", *figures(validations(bench.nodes[0], bench.place.token))])
    bench.report.title("Validations of a token, by 16 clients")
    bench.report.table(["nodes", "per second", "p50 ms", "p99 ms"], rows)


def figures(measured):
    return number(measured.per_second), number(measured.p50_ms), number(measured.p99_ms)


# How soon all nodes know


def until_known(bench, seen, acted_at):
    """How long after a change was acknowledged the last node answered as if it had not been; and what never learned."""
    late, never = [0.0], []

    def watch(node):
        client = Client(bench.ports[node], bench.place.token)
        right, deadline = 0, time.monotonic() + 8
        while right < 3:
            asked_at = time.monotonic()
            if seen(client):
                right += 1
                continue
            right = 0
            late.append(asked_at - acted_at)
            if asked_at > deadline:
                never.append(node)
                break
        client.close()

    watchers = [threading.Thread(target=watch, args=[node]) for node in range(MEMBERS)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    return max(late), never


def refused(token):
    return lambda client: client.validate(token).status == 404


def revoked_token(bench):
    token = bench.token(bench.user())
    yield lambda node: bench.do("DELETE", "/v3/auth/tokens", node=node, X_Subject_Token=token)
    yield refused(token)


def disabled_user(bench):
    user = bench.user()
    token = bench.token(user)
    yield lambda node: bench.do("PATCH", f"/v3/users/{user}", {"user": {"enabled": False}}, node)
    yield refused(token)


def deleted_user(bench):
    user = bench.user()
    token = bench.token(user)
    yield lambda node: bench.do("DELETE", f"/v3/users/{user}", node=node)
    yield refused(token)


def removed_role(bench):
    user = bench.user()
    token = bench.token(user)
    yield lambda node: bench.do("DELETE", bench.grant(user), node=node)
    yield refused(token)


def left_group(bench):
    user = bench.user(member=False)
    group = bench.do("POST", "/v3/groups", {"group": {"name": f"g-{user}"}}).json["group"]["id"]
    bench.do("PUT", f"/v3/groups/{group}/users/{user}")
    bench.do("PUT", f"/v3/projects/{bench.place.project}/groups/{group}/roles/{bench.place.role}")
    token = bench.token(user)
    bench.known("HEAD", f"/v3/groups/{group}/users/{user}")
    yield lambda node: bench.do("DELETE", f"/v3/groups/{group}/users/{user}", node=node)
    yield refused(token)


def changed_password(bench):
    user = bench.user()
    bench.token(user)
    yield lambda node: bench.do("PATCH", f"/v3/users/{user}", {"user": {"password": "new"}}, node)
    yield lambda client: client.login(user, "pw").status == 401


def disabled_project(bench):
    user = bench.user(member=False)
    project = bench.do("POST", "/v3/projects", {"project": {"name": f"p-{user}"}}).json["project"]["id"]
    bench.do("PUT", f"/v3/projects/{project}/users/{user}/roles/{bench.place.role}")
    bench.known("GET", f"/v3/projects/{project}")
    token = bench.clients[0].login(user, "pw", {"project": {"id": project}}).token
    yield lambda node: bench.do("PATCH", f"/v3/projects/{project}", {"project": {"enabled": False}}, node)
    yield refused(token)


def deleted_application_credential(bench):
    user = bench.user()
    path = f"/v3/users/{user}/application_credentials"
    token = bench.token(user)
    made = bench.do("POST", path, {"application_credential": {"name": "a"}}, X_Auth_Token=token).json
    made = made["application_credential"]
    identity = {"methods": ["application_credential"]}
    identity["application_credential"] = {"id": made["id"], "secret": made["secret"]}
    yield lambda node: bench.do("DELETE", f"{path}/{made['id']}", node=node)
    yield lambda client: client.authenticate(identity).status != 201


def created_user(bench):
    made = []

    def make(node):
        body = {"user": {"name": f"new-{time.monotonic_ns()}", "password": "pw"}}
        made.append(bench.do("POST", "/v3/users", body, node).json["user"]["id"])

    yield make
    yield lambda client: client.ask("GET", f"/v3/users/{made[0]}").status == 200


def disabled_connector(bench):
    connector = bench.domain.connect()
    token = bench.domain.log_in(bench.clients[0], connector).token
    path = f"/v4/connectors/{connector}"
    manager = bench.domain.token
    bench.known("GET", path)

    def seen(client):
        return client.validate(token).status == 404 and bench.domain.log_in(client, connector).status == 403

    yield lambda node: bench.do("PATCH", path, {"connector": {"enabled": False}}, node, X_Auth_Token=manager)
    yield seen


def reconfigured_connector(bench):
    connector = bench.domain.connect()
    path = f"/v4/connectors/{connector}"
    bench.known("GET", path)
    config = {"connector": {"config": bench.domain.config(audiences=["another"])}}
    yield lambda node: bench.do("PATCH", path, config, node, X_Auth_Token=bench.domain.token)
    yield lambda client: bench.domain.log_in(client, connector).status == 401


def replaced_plugin(bench):
    installed = []
    wasm, artifact = {"Content_Type": "application/wasm"}, federated.another_artifact()

    def install(node):
        told = bench.do("PUT", "/v4/plugins/jwt/artifact", artifact, node, **wasm).json
        installed.append(told["plugin"]["digest"])

    def seen(client):
        plugins = client.ask("GET", "/v4/plugins").json["plugins"]
        return any(one["digest"] == installed[0] for one in plugins if one["name"] == "jwt")

    yield install
    yield seen


CHANGES = {
    "a token revoked": (revoked_token, BOUND_S), "a user disabled": (disabled_user, BOUND_S),
    "a user deleted": (deleted_user, BOUND_S), "a role taken": (removed_role, BOUND_S),
    "a user left a group with a role": (left_group, BOUND_S), "a password changed": (changed_password, BOUND_S),
    "a project disabled": (disabled_project, BOUND_S),
    "an application credential deleted": (deleted_application_credential, BOUND_S),
    "a user created": (created_user, BOUND_S), "a connector disabled": (disabled_connector, PLUGIN_BOUND_S),
    "a connector's configuration changed": (reconfigured_connector, PLUGIN_BOUND_S),
    "a plugin replaced": (replaced_plugin, PLUGIN_BOUND_S),
}  # fmt: skip


def spread(bench):
    """Each change is made at one node and watched at all three."""
    rows, beyond = [], []
    for name, (change, bound_s) in CHANGES.items():
        lags = []
        for number in range(TRIES if bound_s == BOUND_S else TRIES // 2):
            steps = change(bench)
            act, seen = next(steps), next(steps)
            try:
                act(number % MEMBERS)
            except (AssertionError, Broken) as failed:
                beyond.append(f"{name}, made at node {number % MEMBERS}: {failed}")
                continue
            lag, never = until_known(bench, seen, time.monotonic())
            lags.append(lag)
            if never or lag > bound_s:
                beyond.append(f"{name}: {lag:.2f} s, node {never}")
        stale = sum(lag > 0 for lag in lags)
        longest = 1000 * max(lags, default=0)
        rows.append([name, len(lags), stale, f"{longest:.0f}", f"{1000 * bound_s:.0f}"])
    bench.report.title("How long another node answers as before")
    bench.report.add("From the answer to the change until the last old answer began, over all nodes.")
    bench.report.table(["change", "tries", "with an old answer", "longest ms", "bound ms"], rows)
    bench.report.none("all nodes know within the bound", beyond)


# Crashes


def under_load(bench, name, happen, window_s, restart=None, quiet_s=2.0, after_s=3.0):
    """Runs workers against the balancer while something happens, and judges what they saw."""
    report = bench.report
    with Balancer(bench.nodes.all) as balancer:
        with Crowd(bench.place, [balancer.port], WORKERS, PAUSE_S) as crowd:
            time.sleep(quiet_s)
            happened_at = time.time()
            happen()
            time.sleep(after_s)
            restarted_at = time.time()
            if restart:
                restart()
            back_at = time.time()
            time.sleep(after_s)
    time.sleep(BOUND_S)
    crashes = crowd.settle(bench.ports)
    journal = crowd.journal
    kinds = collections.Counter(status for _, _, status, _ in journal.errors)
    before = [error for error in journal.errors if error[3] < happened_at]
    ends = [at - happened_at for at, *_ in journal.errors]
    # A request's time is when it was asked; what counts is when the last that failed was asked.
    last = max(ends, default=0.0)
    allowed = (restarted_at - happened_at + window_s) if last > restarted_at - happened_at else window_s
    slowest = max((max(times) for times in journal.times.values()), default=0)
    report.title(name)
    report.add(
        f"{journal.answers} requests by {WORKERS} workers through HAProxy; "
        f"{len(journal.errors)} had no answer or a 5xx ({dict(kinds) or 'none'}), "
        f"the last asked {last:.1f} s after; the longest took {slowest:.1f} s."
    )
    if restart:
        report.add(f"It was brought back after {restarted_at - happened_at:.1f} s and was there {back_at - restarted_at:.1f} s later.")
    report.none("no error before it happened", before)
    report.check(f"errors end within {window_s:.0f} s", last <= allowed, f"{last:.1f} s")
    report.none("no wrong answer, no acknowledged write lost, all nodes agree", journal.wrong)
    latest = max(journal.late, default=None)
    report.note(f"{len(journal.late)} answers were late{f', by up to {1000 * latest[0]:.0f} ms ({latest[1]})' if latest else ''}")
    if crashes:
        report.check("the workers understood all answers", False, repr(crashes[0]))
    return journal


def node(bench):
    last = bench.nodes[-1]
    under_load(bench, "SIGKILL of a node of Archstone", last.kill, NODE_WINDOW_S, last.start)


def rolling(bench):
    def one_after_the_other():
        for one in bench.nodes.all:
            one.stop()
            one.start()
            time.sleep(1.5)

    journal = under_load(bench, "Restart of one node after the other, by SIGTERM", one_after_the_other, 60, after_s=1)
    bench.report.none("a rolling restart is not an error to anybody", [error[1:3] for error in journal.errors])


def database(bench):
    what = f"SIGKILL of a database node ({bench.database.title})"
    if isinstance(bench.database, OnPostgres):
        what = "Crash of the database (SIGQUIT)"
    under_load(bench, what, bench.database.fail, DATABASE_WINDOW_S, bench.database.mend, after_s=4)


# Conflicts


class Clash:
    """Writers at all nodes at once."""

    THREADS = 4

    def __init__(self, bench):
        self.bench = bench
        self.statuses = collections.defaultdict(collections.Counter)
        self.failed = []

    def at_once(self, name, deed, rounds):
        """Has each of the writers do `deed(client, writer, round)`, which gives an answer; all rounds' answers."""
        answers, lock, barrier = [], threading.Lock(), threading.Barrier(MEMBERS * self.THREADS)

        def work(writer):
            place = writer % MEMBERS
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

        writers = [threading.Thread(target=work, args=[n]) for n in range(MEMBERS * self.THREADS)]
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

    report.title(f"{MEMBERS * Clash.THREADS} writers at all nodes at once")
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
    import base64
    import secrets

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


def measure(database, report, arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cluster-"))
    nodes = None
    try:
        nodes = Nodes(directory / "nodes", database.connections(), federated.CONFIG)
        bench = Bench(database, nodes.start(), report)
        for phase in PHASES:
            if phase in arguments.only:
                began = time.monotonic()
                try:
                    globals()[phase](bench)
                except LoadFailed as failed:
                    report.check(f"{phase}: no request failed", False, failed)
                print(f"{phase}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    finally:
        if nodes and arguments.keep:
            print(f"kept: {directory}", file=sys.stderr)
            for one in nodes.all:
                one.kill()
        elif nodes:
            nodes.stop()
            directory.rmdir()
        database.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=pathlib.Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--database", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--only", nargs="+", choices=PHASES, default=PHASES, metavar="PHASE", help=", ".join(PHASES))
    parser.add_argument("--keep", action="store_true", help="keep the nodes' directories and say where they are")
    parser.add_argument("--limit", type=int, default=360, metavar="SECONDS", help="when to give up")
    parser.add_argument("--write", action="store_true", help="put the report in docs/performance.md")
    arguments = parser.parse_args()
    Archstone.binary = str(arguments.archstone.absolute())

    report = Findings()
    try:
        with bounded(arguments.limit):
            for kind in KINDS if arguments.database == "both" else [arguments.database]:
                report.title(f"On {KINDS[kind].title}")
                measure(KINDS[kind](), report, arguments)
    except OutOfTime as late:
        report.check("the run ends in time", False, late)
    return report.end("cluster", arguments.write)


if __name__ == "__main__":
    sys.exit(main())
