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
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

from harness.balancer import Balancer  # noqa: E402
from harness.databases import DatabaseFailed, PostgreSql  # noqa: E402
from harness.galera import SUSPECT_AFTER_S, Galera  # noqa: E402
from harness.servers import Archstone, ServerFailed  # noqa: E402
from load import federated  # noqa: E402
from load.changes import PLUGIN_BOUND_S, spread  # noqa: E402
from load.clashes import conflicts  # noqa: E402
from load.client import Broken, Client  # noqa: E402
from load.findings import Findings  # noqa: E402
from load.facts import BOUND_S, Fact  # noqa: E402
from load.known import Crowd, Place  # noqa: E402
from load.nodes import Nodes  # noqa: E402
from load.run import OutOfTime, bounded  # noqa: E402
from load.throughput import sync_wait, throughput  # noqa: E402
from wrk import LoadFailed  # noqa: E402

MEMBERS = 3
#: More than the balancer takes to notice that a node is about to stop.
DRAIN_S = 2
CONFIG = {**federated.CONFIG, "archstone": {"drain_time": DRAIN_S}}
WORKERS = 8
PAUSE_S = 0.01
#: How long after a crash requests may fail, and after a crash of the database.
NODE_WINDOW_S, DATABASE_WINDOW_S = 5.0, 5.0 + 4 * SUSPECT_AFTER_S


class OnGalera:
    title = "Galera, three nodes"
    is_galera = True

    def __init__(self, arguments):
        self.cluster = Galera(MEMBERS).start()
        self.sync_wait = arguments.sync_wait
        #: Whether another node may learn of a write after it was acknowledged.
        self.lags = not self.sync_wait & 1

    def config(self):
        return {**CONFIG, "database": {"mysql_wsrep_sync_wait": self.sync_wait}}

    def groups(self):
        return [node.process.pid for node in self.cluster.nodes]

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
    is_galera = lags = False

    def __init__(self, _arguments):
        self.server = PostgreSql(durable=True).start()

    def config(self):
        return CONFIG

    def groups(self):
        return [self.server.process.pid]

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
    if journal.errors:
        shown = journal.errors[:3] + journal.errors[3:][-3:]
        report.add("Among them: " + ", ".join(f"{what} {status} ({at - happened_at:.1f} s)" for at, what, status, _ in shown) + ".")
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
    if not bench.database.is_galera:
        what = "Crash of the database (SIGQUIT)"
    # Until the others agree that a node is gone, one of them may have a write that another has not.
    Fact.bound_s = BOUND_S + (2 * SUSPECT_AFTER_S if bench.database.lags else 0)
    try:
        under_load(bench, what, bench.database.fail, DATABASE_WINDOW_S, bench.database.mend, after_s=4)
    finally:
        Fact.bound_s = BOUND_S


def minority(bench):
    """A database node that lost the majority serves nothing. The cluster stays broken, so this is the last phase."""
    if not bench.database.is_galera:
        return
    report, nodes = bench.report, bench.database.cluster.nodes
    for one in nodes[1:]:
        one.crash()
    deadline = time.monotonic() + 30
    while nodes[0].status("wsrep_cluster_status") == "Primary" and time.monotonic() < deadline:
        time.sleep(0.1)
    began, statuses, slowest = time.monotonic(), collections.Counter(), 0.0
    for number in range(5):
        user = {"user": {"name": f"lost-{number}"}}
        for method, path, body in (("GET", "/healthcheck", None), ("GET", "/v3/users", None), ("POST", "/v3/users", user)):
            asked = time.monotonic()
            statuses[f"{method} {path}: {bench.clients[0].ask(method, path, body).status}"] += 1
            slowest = max(slowest, time.monotonic() - asked)
        if time.monotonic() - began > 60:
            break
    report.title("A database node without majority")
    wrong = {told: count for told, count in statuses.items() if not told.endswith(": 503")}
    report.check("its node of Archstone answers 503, the health check too", not wrong, wrong or "")
    report.check("it does so within 2 s", slowest < 2, f"{slowest:.1f} s")


PHASES = {one.__name__: one for one in (throughput, spread, sync_wait, conflicts, node, rolling, database, minority)}


def measure(kind, report, arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cluster-"))
    nodes = None
    try:
        nodes = Nodes(directory / "nodes", kind.connections(), kind.config())
        bench = Bench(kind, nodes.start(), report)
        for phase in PHASES:
            if phase in arguments.only:
                began = time.monotonic()
                try:
                    PHASES[phase](bench)
                except (AssertionError, Broken, DatabaseFailed, LoadFailed, ServerFailed) as failed:
                    report.check(f"{phase} came to its end", False, f"{type(failed).__name__}: {failed}")
                print(f"{phase}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    finally:
        if nodes:
            nodes.end(arguments.keep)
        kind.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=pathlib.Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--database", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--only", nargs="+", choices=list(PHASES), default=list(PHASES), metavar="PHASE", help=", ".join(PHASES))
    parser.add_argument("--sync-wait", type=int, default=0, metavar="N", help="mysql_wsrep_sync_wait of all nodes, on Galera")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' directories and say where they are")
    parser.add_argument("--limit", type=int, default=700, metavar="SECONDS", help="when to give up")
    parser.add_argument("--write", action="store_true", help="put the report in docs/performance.md")
    arguments = parser.parse_args()
    Archstone.binary = str(arguments.archstone.absolute())

    report = Findings()
    try:
        with bounded(arguments.limit):
            for kind in KINDS if arguments.database == "both" else [arguments.database]:
                report.title(f"On {KINDS[kind].title}")
                measure(KINDS[kind](arguments), report, arguments)
    except OutOfTime as late:
        report.check("the run ends in time", False, late)
    return report.end("cluster", arguments.write)


if __name__ == "__main__":
    sys.exit(main())
