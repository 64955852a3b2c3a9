#!/usr/bin/env python3
"""Two nodes of Archstone on MariaDB under mixed load for a while: no wrong answers, and no memory that only grows.

    target/venv/bin/python benches/soak.py [--minutes 20] [--write]

Workers know what every answer has to be (load/known.py). Meanwhile plugins are swapped every 10 s, Fernet keys rotate
every 2 minutes, and the database restarts once, in the middle. Ends with a report; `--write` puts it in
docs/performance.md and the curve of memory in docs/performance/soak.svg. Short runs rotate more often.
"""

import argparse
import collections
import pathlib
import signal
import sys
import tempfile
import threading
import time

import psutil

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

from harness.databases import MariaDb  # noqa: E402
from harness.servers import Archstone  # noqa: E402
from load import federated  # noqa: E402
from load.client import Broken, Client, slope  # noqa: E402
from load.findings import Findings  # noqa: E402
from load.facts import BOUND_S  # noqa: E402
from load.known import Crowd, Place, Worker  # noqa: E402
from load.nodes import Nodes  # noqa: E402
from load.run import OutOfTime, bounded  # noqa: E402

NODES, WORKERS, PAUSE_S = 2, 8, 0.02
SWAP_EVERY_S, ROTATE_EVERY_S, SAMPLE_EVERY_S = 10, 120, 2
#: Plugins that are swapped, between so many versions each.
PLUGINS, VERSIONS = ("jwt", "totp"), 3
#: A token outlives so many rotations, less one.
ACTIVE_KEYS = 5
#: How much memory may grow in the last two thirds of the run, as a part of what it is.
GROWTH = 0.10
#: A shorter run says nothing of that: caches fill.
WARM_AFTER_S = 300
#: How long requests may fail after the database went and came.
DATABASE_WINDOW_S = 10
MIB = 1 << 20


class Samples:
    """Memory and descriptors of the nodes, over time."""

    def __init__(self, nodes, until):
        self.processes = [psutil.Process(node.process.pid) for node in nodes.all]
        self.began, self.until = time.monotonic(), until
        #: (seconds, bytes) and (seconds, descriptors) of each node
        self.memory, self.descriptors = [[[] for _ in self.processes] for _ in range(2)]
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        while not self.until.wait(SAMPLE_EVERY_S):
            at = time.monotonic() - self.began
            for number, process in enumerate(self.processes):
                self.memory[number].append((at, process.memory_info().rss))
                self.descriptors[number].append((at, process.num_fds()))

    def by_minute(self):
        """What each node had on average in each minute, in MiB."""
        minutes = collections.defaultdict(lambda: [[] for _ in self.processes])
        for number, taken in enumerate(self.memory):
            for at, size in taken:
                minutes[int(at // 60)][number].append(size / MIB)
        return [[minute + 1, *(f"{sum(sizes) / max(1, len(sizes)):.0f}" for sizes in nodes)] for minute, nodes in sorted(minutes.items())]


class Troubles:
    """What happens to the nodes meanwhile, each in a thread of its own."""

    def __init__(self, bench, seconds):
        self.bench, self.until = bench, threading.Event()
        self.counts, self.failed = collections.Counter(), []
        #: When the database went and when it was back, by time.time().
        self.database = (float("inf"), float("inf"))
        self.seconds = seconds
        self.rotate_every = min(ROTATE_EVERY_S, max(15, seconds / 6))
        works = (self.swap, self.rotate, self.renew, self.restart_database)
        self.threads = [threading.Thread(target=self.go_on, args=[work], daemon=True) for work in works]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.until.set()
        for thread in self.threads:
            thread.join(60)

    def go_on(self, work):
        try:
            work()
        except Exception as failure:
            self.failed.append(f"{work.__name__}: {failure!r}")

    def excused(self):
        """Whether the database is away, or was a moment ago."""
        gone, back = self.database
        return gone - 1 < time.time() < back + DATABASE_WINDOW_S

    def swap(self):
        """Has another version of a plugin serve."""
        digests, token = self.bench.digests, self.bench.place
        client = Client(self.bench.ports[0])
        number = 0
        while not self.until.wait(SWAP_EVERY_S):
            name = PLUGINS[number % len(PLUGINS)]
            digest = digests[name][(number // len(PLUGINS)) % VERSIONS]
            number += 1
            client.token = token.token
            try:
                answer = client.ask("POST", f"/v4/plugins/{name}/rollback", {"digest": digest})
                status = answer.status
            except Broken as broken:
                status = str(broken)
            self.counts["plugin swaps"] += status == 200
            if status != 200 and not self.excused():
                self.failed.append(f"swap of {name}: {status}")

    def rotate(self):
        while not self.until.wait(self.rotate_every):
            self.bench.nodes[0].archstone("fernet", "rotate")
            self.counts["rotations of keys"] += 1

    def renew(self):
        """Keeps the administrator's token fresh: keys end it, not its expiry."""
        while not self.until.wait(self.rotate_every / 2):
            try:
                self.bench.place.token = self.bench.nodes.admin.token
                self.counts["administrator's tokens"] += 1
            except Exception as failure:
                if not self.excused():
                    raise failure

    def restart_database(self):
        if self.until.wait(self.seconds / 2):
            return
        gone = time.time()
        self.database = (gone, float("inf"))
        server = self.bench.database
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        time.sleep(1)
        server.serve()
        self.database = (gone, time.time())
        self.counts["restarts of the database"] += 1


class Bench:
    def __init__(self, database, nodes):
        self.database, self.nodes = database, nodes
        self.ports = [node.port for node in nodes.all]
        self.place = Place(nodes.admin)
        domain = federated.Domain(nodes)
        self.place.connector, self.place.jwt, self.place.totp = domain.connector, domain.ci.token, True
        grants = {"jwt": {"http": {"origins": []}}, "totp": {"credentials": ["totp"]}}
        self.digests = {
            name: [nodes.install(name, version, {"grant": grants[name]}) for version in range(VERSIONS)] for name in PLUGINS
        }


def soak(bench, report, seconds, write):
    until = threading.Event()
    samples = Samples(bench.nodes, until)
    Worker.TOKEN_AGE_S = min(Worker.TOKEN_AGE_S, ROTATE_EVERY_S, max(15, seconds / 6)) * 1.2
    with Troubles(bench, seconds) as troubles, Crowd(bench.place, bench.ports, WORKERS, PAUSE_S) as crowd:
        print("under load", file=sys.stderr)
        time.sleep(seconds)
        print("ending", file=sys.stderr)
    until.set()
    print("comparing", file=sys.stderr)
    time.sleep(BOUND_S)
    bench.place.token = bench.nodes.admin.token
    crashes = crowd.settle(bench.ports)
    tell(report, crowd.journal, troubles, samples, crashes, seconds)
    if write:
        plot(samples)
        report.add("", "![Memory of the nodes](performance/soak.svg)")


def plot(samples):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "archstone", "font.size": 9})
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for number, taken in enumerate(samples.memory):
        axes.plot([at / 60 for at, _ in taken], [size / MIB for _, size in taken], linewidth=1, label=f"node {number}")
    axes.set(title="Resident memory under mixed load", xlabel="minutes", ylabel="MiB")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    path = REPOSITORY / "docs/performance/soak.svg"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def tell(report, journal, troubles, samples, crashes, seconds):
    gone, back = troubles.database
    unexpected = [error for error in journal.errors if not (error[3] > gone - 0.5 and error[0] < back + DATABASE_WINDOW_S)]
    meanwhile = ", ".join(f"{count} {what}" for what, count in sorted(troubles.counts.items()))
    report.add("", f"{seconds / 60:.0f} minutes, {NODES} nodes, {WORKERS} workers, {journal.answers} requests "
               f"({journal.answers / seconds:.0f} per second). Meanwhile: {meanwhile}.", "")  # fmt: skip
    report.table(["request", "answers by status", "p50 ms", "p99 ms"], journal.rows())
    report.none("no wrong answer, and all nodes agree at the end", journal.wrong)
    latest = max(journal.late, default=(0, "none"))
    report.note(f"{len(journal.late)} answers of a node did not know yet what another was told, by up to {1000 * latest[0]:.0f} ms ({latest[1]})")
    when = [(round(at - gone, 1), what, status) for at, what, status, _ in unexpected]
    meant = [error for error in journal.errors if error not in unexpected]
    kinds = ", ".join(f"{status}: {count}" for status, count in collections.Counter(status for _, _, status, _ in meant).most_common())
    last = max((at - gone for at, *_ in meant), default=0)
    report.note(f"the database was away for {back - gone:.1f} s; {len(meant)} requests failed for that ({kinds or 'none'}), the last asked {last:.1f} s after it went")
    report.check("a database that is away is a 503", all(status == 503 for _, _, status, _ in meant), kinds)
    report.none("no other request failed", when)
    report.none("plugins were swapped and keys rotated without a failure", troubles.failed)
    if crashes:
        report.check("the workers understood all answers", False, repr(crashes[0]))
    tell_memory(report, samples, seconds)


def tell_memory(report, samples, seconds):
    for number, (memory, descriptors) in enumerate(zip(samples.memory, samples.descriptors)):
        late = [(at, size) for at, size in memory if at > seconds / 3]
        grown = slope(late) * seconds * 2 / 3
        size = sum(size for _, size in late) / max(1, len(late))
        told = f"{size / MIB:.0f} MiB, {grown / MIB:+.1f} MiB, {slope(late) * 60 / MIB:+.2f} MiB per minute"
        if seconds < WARM_AFTER_S:
            report.note(f"node {number}: memory in the last two thirds, while caches fill: {told}")
        else:
            report.check(f"node {number}: memory grows by less than {GROWTH:.0%} in the last two thirds", grown < GROWTH * size, told)
        counts = [count for _, count in descriptors]
        report.check(f"node {number}: descriptors are bounded", counts and counts[-1] <= max(counts[: max(1, len(counts) // 3)]) + 20, f"{counts[0]} at first, {max(counts)} at most, {counts[-1]} at last")
    report.add("")
    report.table(["minute", *(f"node {number} MiB" for number in range(NODES))], samples.by_minute())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=pathlib.Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--keep", action="store_true", help="keep the nodes' directories and say where they are")
    parser.add_argument("--write", action="store_true", help="put the report in docs/performance.md")
    arguments = parser.parse_args()
    Archstone.binary = str(arguments.archstone.absolute())

    report = Findings()
    seconds = 60 * arguments.minutes
    directory = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    nodes = None
    try:
        with bounded(seconds + 300):
            database = MariaDb(durable=True).start()
            try:
                # All workers fail logins on purpose, from one address.
                unthrottled = {"failed_logins_per_user": "0", "failed_logins_per_address": "0"}
                config = {**federated.CONFIG, "archstone": unthrottled, "fernet_tokens": {"max_active_keys": ACTIVE_KEYS, "key_repository": "{keys}/fernet-keys"}}
                nodes = Nodes(directory / "nodes", [database.fresh()] * NODES, config)
                if nodes[0].config["database"]["connection"] != nodes[1].config["database"]["connection"]:
                    raise AssertionError("the nodes have one database")
                soak(Bench(database, nodes.start()), report, seconds, arguments.write)
            finally:
                if nodes:
                    nodes.end(arguments.keep)
                database.stop()
    except OutOfTime as late:
        report.check("the run ends in time", False, late)
    return report.end("soak", arguments.write)


if __name__ == "__main__":
    sys.exit(main())
