"""What nodes answer, and what that costs: by how many nodes there are, and by what Galera is told to wait for."""

import collections
import statistics
import time

from harness.balancer import Balancer
from load.changes import AT_ONCE, used_at_once
from report import number
from wrk import Processes, Request, wrk

CLIENTS, SECONDS = 16, 3
#: How often each value of `mysql_wsrep_sync_wait` has its turn.
ROUNDS = 2


def works(bench):
    """What is asked for: remembered by nodes, read from the database, written into it."""
    token = {"X-Auth-Token": bench.place.token}
    return {
        "validate a token": Request("/v3/auth/tokens", headers={**token, "X-Subject-Token": bench.place.token}),
        "list projects": Request("/v3/projects", headers=token),
        "create a user": Request("/v3/users", "POST", {"user": {"name": "made"}}, token),
    }


def throughput(bench):
    rows = []
    for count in range(1, len(bench.nodes.all) + 1):
        with Balancer(bench.nodes.all[:count]) as balancer:
            parts = (*parts_of(bench), Processes(balancer.process.pid))
            for what, request in works(bench).items():
                measured, costs = measure(balancer, request, parts)
                latencies = number(measured.p50_ms), number(measured.p99_ms)
                rows.append([what, count, number(measured.per_second), *latencies, *map(number, costs)])
    order = list(works(bench))
    rows.sort(key=lambda row: order.index(row[0]))
    bench.report.title(f"Throughput, by {CLIENTS} clients")
    bench.report.add(
        "The cores carry clients, HAProxy, all nodes and the database, so that a node more cannot answer more here. What it "
        "costs is in the last three columns: CPU seconds for 1,000 requests, in nodes of Archstone, in the database (all of "
        "its nodes) and in HAProxy. What a node more adds to them is the price of coordination.", "",
    )  # fmt: skip
    bench.report.table(["", "nodes", "per second", "p50 ms", "p99 ms", "Archstone", "database", "HAProxy"], rows)


def parts_of(bench):
    """The nodes of Archstone, and the database."""
    return Processes(*(node.process.pid for node in bench.nodes.all)), Processes(*bench.database.groups())


def measure(server, request, parts):
    """What `wrk` measures, and the CPU seconds that each of the parts spends on 1,000 requests."""
    send(server, request, 1)
    spent = [part.cpu_s() for part in parts]
    measured = send(server, request, SECONDS)
    return measured, [1000 * (part.cpu_s() - before) / measured.requests for part, before in zip(parts, spent)]


def send(server, request, seconds):
    if request.body:
        # Names that nobody else takes.
        new = {"user": {"name": f"made-{time.monotonic_ns()}-NUMBER"}}
        request = Request(request.path, request.method, new, request.headers)
    return wrk(server.base, request, CLIENTS, seconds)


def sync_wait(bench):
    """What `[database] mysql_wsrep_sync_wait = 1` gives and costs, where nothing is remembered. Galera only."""
    if not bench.database.is_galera:
        return
    found, missed = collections.defaultdict(list), collections.Counter()
    try:
        # In turns, so that neither has the better half of the machine's time.
        for value in ("0", "1") * ROUNDS:
            configure(bench, value, "false")
            missed[value] += sum(not used_at_once(bench, number) for number in range(AT_ONCE // ROUNDS))
            for what, request in works(bench).items():
                measured, costs = measure(bench.nodes[0], request, parts_of(bench))
                found[what, value].append([measured.per_second, measured.p50_ms, *costs])
    finally:
        configure(bench, bench.database.sync_wait, "true")
    bench.report.title("What `mysql_wsrep_sync_wait` gives and costs")
    bench.report.add(f"One node, {CLIENTS} clients, nothing remembered (`[token] caching = false`).", "")
    rows = []
    for what in works(bench):
        for value in ("0", "1"):
            rows.append([what, value, *(number(statistics.mean(column)) for column in zip(*found[what, value]))])
    bench.report.table(["", "value", "per second", "p50 ms", "CPU s for 1,000, Archstone", "database"], rows)
    bench.report.note(f"with 0, another node did not know {missed['0']} of {AT_ONCE} new users when it was asked at once")
    bench.report.check("with 1, whoever asks another node finds what was written", not missed["1"], missed["1"] or "")


def configure(bench, sync_wait, caching):
    """Restarts all nodes with these options."""
    for node in bench.nodes.all:
        node.config["database"]["mysql_wsrep_sync_wait"] = str(sync_wait)
        node.config["token"]["caching"] = caching
        node.write_config()
        node.restart()
