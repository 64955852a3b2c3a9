#!/usr/bin/env python3
"""One node of Archstone with more to do than it can: logins, slow clients, large requests, many connections, shutdown.

    target/venv/bin/python benches/overload.py [--only PART ...] [--write]

Each finding is a line with pass or FAIL and its number. Exits with 1 where something failed. `--write` puts the report
in docs/performance.md. Needs Debian's wrk.
"""

import argparse
import collections
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import psutil

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

from harness.api import Api  # noqa: E402
from harness.databases import SERVERS  # noqa: E402
from harness.servers import Archstone  # noqa: E402
from load import hostile  # noqa: E402
from load.client import Broken, Client, quantile, validations  # noqa: E402
from load.findings import Findings  # noqa: E402
from load.run import OutOfTime, bounded  # noqa: E402
from report import number  # noqa: E402
from wrk import LoadFailed  # noqa: E402

PARTS = ("logins", "queue", "abandoned", "slow", "large", "many", "revocations", "shutdown", "guessing")
#: Keystone's default cost of a password, which operators have.
ROUNDS = 12
QUEUE = 64
#: Password logins that fill the queue but do not overflow it, and such that do.
STORM, FLOOD = 64, 160
SHUTDOWN_LOGINS = 16
#: The longest that anything here may take to be refused or cut.
PATIENCE_S = 60
GOODBYE_S = 32
#: All clients here have one address: what limits failed logins is looked at alone.
UNLIMITED = {"failed_logins_per_user": "0", "failed_logins_per_address": "0"}
#: How long a login is waited for: a full queue on a busy machine takes its time.
LOGIN_PATIENCE_S = 100


class Logins:
    """Clients that log in one time after the other: `with Logins(server, user, 64) as logins`."""

    def __init__(self, server, user, clients, password="pw", waits=False):
        self.server, self.user, self.password, self.waits = server, user, password, waits
        self.statuses, self.took = collections.Counter(), collections.defaultdict(list)
        #: (when it was sent, what came)
        self.all = []
        self.without_hint = 0
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(clients)]

    def work(self):
        client = Client(self.server.port, timeout_s=LOGIN_PATIENCE_S)
        while not self.done.is_set():
            began, at = time.perf_counter(), time.time()
            try:
                answer = client.login(self.user, self.password)
                status = answer.status
            except Broken as broken:
                status = str(broken)
            self.took[status].append(time.perf_counter() - began)
            self.statuses[status] += 1
            self.all.append((at, status))
            if status == 503:
                self.without_hint += "Retry-After" not in answer.headers
                if self.waits:
                    self.done.wait(float(answer.headers.get("Retry-After", 0)))
            elif not isinstance(status, int):
                self.done.wait(0.05)
        client.close()

    def __enter__(self):
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.done.set()
        self.seconds = time.monotonic() - self.began
        for thread in self.threads:
            thread.join(LOGIN_PATIENCE_S)


class Bench:
    def __init__(self, server, report, rounds):
        self.server, self.report, self.rounds = server, report, rounds
        self.admin = Api(server).as_admin()
        self.user = self.new_user()

    def new_user(self):
        user = {"name": f"u-{time.monotonic_ns()}", "password": "pw"}
        return self.admin.post("/users", user=user).ok()["user"]["id"]

    def validations(self, seconds=4):
        return validations(self.server, self.admin.token, 8, seconds)

    def alive(self):
        """How long a validation takes now."""
        began = time.perf_counter()
        self.admin.validate(self.admin.token).ok()
        return time.perf_counter() - began

    def process(self):
        return psutil.Process(self.server.process.pid)


def logins(bench):
    """A storm of logins must not slow validation down by more than its share of the cores."""
    report = bench.report
    bench.validations(1)
    alone = bench.validations()
    with Logins(bench.server, bench.user, STORM) as storm:
        time.sleep(1)
        amid = bench.validations()
    with Logins(bench.server, "f" * 32, STORM, "wrong") as strangers:
        time.sleep(1)
        amid_strangers = bench.validations()
    report.title(f"{STORM} clients that log in by password (bcrypt, {bench.rounds} rounds), and validation")
    rows = [
        ["no logins", *figures(alone), ""],
        ["logins", *figures(amid), f"{storm.statuses[201] / storm.seconds:.1f}"],
        ["logins of users that do not exist", *figures(amid_strangers), f"{strangers.statuses[401] / strangers.seconds:.1f}"],
    ]
    report.table(["", "validations per second", "p50 ms", "p99 ms", "logins per second"], rows)
    for name, measured in (("logins", amid), ("logins of strangers", amid_strangers)):
        slowdown = measured.p50_ms / alone.p50_ms
        report.check(f"{name} slow half of the validations by no more than 2x", slowdown <= 2, f"{slowdown:.2f}x")
        report.check(f"{name} leave at least half of the throughput", measured.per_second >= alone.per_second / 2, f"{measured.per_second / alone.per_second:.2f}")
    report.check("every login was answered with 201", set(storm.statuses) == {201}, dict(storm.statuses))
    report.check("every stranger was answered with 401", set(strangers.statuses) == {401}, dict(strangers.statuses))


def figures(measured):
    return number(measured.per_second), number(measured.p50_ms), number(measured.p99_ms)


def in_words(measured):
    return "{} per second, p50 {} ms, p99 {} ms".format(*figures(measured))


def queue(bench):
    """More logins than the queue holds are answered 503 at once, and the rest go on."""
    report = bench.report
    with Logins(bench.server, bench.user, FLOOD, waits=True) as flood:
        time.sleep(4)
        amid = bench.validations()
    refused, kept = flood.took.get(503, []), flood.took.get(201, [])
    report.title(f"{FLOOD} clients that log in, with a queue of {QUEUE}")
    report.add(f"In {flood.seconds:.0f} s: {dict(flood.statuses)}; a login took {quantile(kept, 0.5):.1f} s (p50) and at most {max(kept, default=0):.1f} s.")
    report.add(f"Validation meanwhile: {in_words(amid)}.")
    report.check("some logins were refused, some succeeded, and nothing else", set(flood.statuses) == {201, 503}, dict(flood.statuses))
    report.check("every 503 has Retry-After", flood.without_hint == 0, flood.without_hint)
    report.check("a refusal comes at once (p99 below 250 ms)", quantile(refused, 0.99) < 0.25, f"{1000 * quantile(refused, 0.99):.0f} ms")
    text = bench.admin("GET", "/v3/../metrics").response.text
    counted = sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("archstone_password_queue_full_total"))
    report.check("the metric counts them", counted >= flood.statuses[503], f"{counted:.0f}")


def abandoned(bench):
    """Logins whose clients have gone are not worked on: those who come next need not wait for them."""
    report, port = bench.report, bench.server.port
    client = Client(port, timeout_s=LOGIN_PATIENCE_S)

    def login():
        """The time until a login works, 503s and all."""
        began = time.perf_counter()
        while client.login(bench.user, "pw").status == 503:
            time.sleep(0.05)
        return time.perf_counter() - began

    alone = min(login() for _ in range(3))
    body = b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "%s", "password": "pw"}}}}}'
    body %= bench.user.encode()
    head = b"POST /v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    gone = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(QUEUE // 2)]
    for one in gone:
        one.sendall(head + body)
    time.sleep(0.5)
    for one in gone:
        one.close()
    time.sleep(0.2)
    after = login()
    report.title(f"{QUEUE // 2} clients that ask to log in and go away")
    report.check("the next login takes no longer than 5 others", after < 5 * alone, f"{after:.2f} s, alone {alone:.2f} s")


def slow(bench):
    """Clients that take their time are cut off, and nobody else notices."""
    report, port = bench.report, bench.server.port
    report.title("Slow clients")
    before = bench.validations(2)
    fds = bench.process().num_fds()
    kinds = {
        "connections that send nothing": [hostile.Silent(port) for _ in range(300)],
        "headers, a byte each second": [hostile.SlowHeaders(port) for _ in range(50)],
        "bodies, a byte each second": [hostile.SlowBody(port) for _ in range(50)],
        "answers that nobody reads": [hostile.Deaf(port) for _ in range(20)],
    }
    crowd = hostile.Crowd([one for some in kinds.values() for one in some])
    with crowd:
        time.sleep(2)
        amid = bench.validations(3)
        held = bench.process().num_fds() - fds
        report.add(f"{len(crowd.clients)} slow connections, {held} more descriptors. Validation: {in_words(before)} before, {in_words(amid)} amid.")
        crowd.wait(PATIENCE_S)
    report.check("validation keeps at least half of its throughput", amid.per_second >= before.per_second / 2, f"{amid.per_second / before.per_second:.2f}")
    for name, some in kinds.items():
        cut = [one.cut_after for one in some if one.cut_after is not None]
        told = f"{len(cut)} of {len(some)}" + (f", the last after {max(cut):.0f} s" if cut else "")
        told += f"; answers: {dict(collections.Counter(one.told for one in some if one.told))}" if any(one.told for one in some) else ""
        report.check(f"{name}: cut within {PATIENCE_S} s", len(cut) == len(some), told)
    time.sleep(1)
    left = bench.process().num_fds() - fds
    report.check("their descriptors are free again", left < 10, left)


def large(bench):
    """What is too large is refused with the right status, without reading it all."""
    report, port = bench.report, bench.server.port
    report.title("Large requests")
    limit = 114688
    token = bench.admin.token
    # Not as text to keep: MariaDB's columns hold less than a body.
    fits = hostile.post(port, b'{"user": {"name": "' + b"x" * 100 + b'"}' + b" " * (limit - 200) + b"}", token)
    report.check(f"a body of almost {limit} bytes is read", fits == 201, fits)
    for name, expected, told in (
        ("a body one byte too large", 413, hostile.post(port, b" " * (limit + 1), token)),
        ("a chunked body without end", 413, hostile.endless_chunks(port, token)),
        ("a body of 100 GB that is announced", 413, hostile.announced(port, 100 << 30, token)),
        ("a header of 1 MB", 431, hostile.raw(port, b"GET /v3 HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n")),
        ("a header of 64 KB", (200, 431), hostile.raw(port, b"GET /v3 HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * (1 << 16) + b"\r\n\r\n")),
        ("10,000 headers", 431, hostile.raw(port, b"GET /v3 HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n")),
        ("a path of 70 KB", 414, hostile.raw(port, b"GET /v3/" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("100,000 nested arrays", 400, hostile.post(port, b'{"user": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", token)),
        ("two Content-Lengths", 400, hostile.raw(port, b"POST /v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
        # Whoever is in front may believe the one and we the other.
        ("Content-Length and chunks", (400,), hostile.raw(port, b"POST /v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("not HTTP", 400, hostile.raw(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")),
    ):  # fmt: skip
        expected = expected if isinstance(expected, tuple) else (expected,)
        report.check(f"{name}: {' or '.join(map(str, expected))}", told in expected, told)
    report.check("the server is alive", bench.alive() < 2, f"{1000 * bench.alive():.0f} ms")
    report.check("its memory is as before", bench.process().memory_info().rss < 600 << 20, f"{bench.process().memory_info().rss >> 20} MiB")


def many(bench):
    """A server without descriptors left does not fall over, and recovers."""
    report = bench.report
    report.title("More connections than descriptors")
    process = bench.process()
    old = process.rlimit(psutil.RLIMIT_NOFILE)
    most = process.num_fds() + 100
    process.rlimit(psutil.RLIMIT_NOFILE, (most, old[1]))
    opened = []
    for _ in range(300):
        try:
            opened.append(socket.create_connection(("127.0.0.1", bench.server.port), timeout=1))
        except OSError:
            # The kernel's own queue of connections is full as well.
            break
    time.sleep(1)
    used = process.cpu_percent(1)
    for one in opened:
        one.close()
    began = time.monotonic()
    recovered = None
    while time.monotonic() - began < 15:
        try:
            bench.alive()
            recovered = time.monotonic() - began
            break
        except (OSError, AssertionError):
            time.sleep(0.2)
    process.rlimit(psutil.RLIMIT_NOFILE, old)
    report.add(f"{len(opened)} connections, descriptors for about 100.")
    report.check("it recovers within 5 s once they are gone", recovered is not None and recovered < 5, f"{recovered} s")
    report.check("it does not spin meanwhile", used < 50, f"{used:.0f} % of a core")
    bench.admin = Api(bench.server).as_admin()


def revocations(bench):
    """What a revocation costs everybody must not grow with those before it."""
    report, rounds = bench.report, 1500
    report.title(f"{rounds} tokens that are revoked, one after the other, and validated after that")
    client = Client(bench.server.port, bench.admin.token)
    mine = client.login(bench.user, "pw").token
    process, before, took = bench.process(), bench.process().memory_info().rss, []
    for _ in range(rounds):
        token = client.authenticate({"methods": ["token"], "token": {"id": mine}}).token
        client.ask("DELETE", "/v3/auth/tokens", X_Subject_Token=token)
        began = sum(process.cpu_times()[:2])
        status = client.validate(token).status
        took.append(sum(process.cpu_times()[:2]) - began)
        if status != 404:
            report.check("a revoked token is refused at once", False, status)
            break
    part = rounds // 5
    first, last = (1000 * sum(some) / part for some in (took[:part], took[-part:]))
    report.check("the last validations cost no more than 3 times the CPU time of the first", last < 3 * max(first, 1), f"{first:.1f} ms, then {last:.1f} ms")
    grown = (process.memory_info().rss - before) >> 20
    report.check("memory grows by less than 16 MiB", grown < 16, f"{grown} MiB")


def shutdown(bench):
    """SIGTERM: what was asked is answered, what is new is refused, and the end is clean and soon."""
    report, server = bench.report, bench.server
    report.title("SIGTERM")
    for name, lurkers in (("under load", []), ("with idle connections", [hostile.Silent(server.port) for _ in range(5)]),
                          ("with a request that never ends", [hostile.SlowBody(server.port) for _ in range(2)])):  # fmt: skip
        if server.process is None:
            server.start()
        goodbye(report, name, server, bench, lurkers)
    server.start()


def goodbye(report, name, server, bench, lurkers):
    idle = Client(server.port)
    idle.ask("GET", "/v3")
    process, answers, stopped = server.process, [], threading.Event()

    def validate():
        client = Client(server.port, bench.admin.token)
        while not stopped.is_set():
            at = time.time()
            try:
                answers.append((at, client.validate(bench.admin.token).status))
            except Broken as broken:
                answers.append((at, str(broken)))
                stopped.wait(0.02)

    validators = [threading.Thread(target=validate, daemon=True) for _ in range(4)]
    with hostile.Crowd(lurkers), Logins(server, bench.user, SHUTDOWN_LOGINS) as load:
        for validator in validators:
            validator.start()
        time.sleep(2)
        asked_to_stop = time.time()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            new = "accepted"
        except OSError as refused:
            new = type(refused).__name__
        try:
            code = process.wait(GOODBYE_S + 10)
        except subprocess.TimeoutExpired:
            code = "none"
        took = time.time() - asked_to_stop
        stopped.set()
        load.done.set()
    server.process = None if code != "none" else process
    idle.close()
    begun = [status for at, status in [*load.all, *answers] if at < asked_to_stop - 0.02]
    lost = collections.Counter(status for status in begun if not isinstance(status, int))
    report.check(f"{name}: every request begun was answered", not lost, dict(lost) or f"{len(begun)} requests")
    report.check(f"{name}: new connections are refused", new == "ConnectionRefusedError", new)
    endless = any(isinstance(one, hostile.SlowBody) for one in lurkers)
    bound = GOODBYE_S if endless else GOODBYE_S / 2
    report.check(f"{name}: it ends with 0 within {bound:.0f} s", code == 0 and took <= bound, f"{code} after {took:.1f} s")


def guessing(bench):
    """Guesses of passwords are limited, for one user and from one address."""
    bench.report.title("Guessing passwords")
    cheap = {"identity": {"password_hash_rounds": "4"}}
    with tempfile.TemporaryDirectory() as directory:
        limited = {"failed_logins_per_user": "30", "failed_logins_per_address": "100"}
        with Archstone(directory + "/plain", {**cheap, "archstone": limited}) as server:
            throttling(server, bench.report)
        lockout = {"lockout_failure_attempts": "5", "lockout_duration": "2"}
        with Archstone(directory + "/locking", {**cheap, "security_compliance": lockout, "archstone": UNLIMITED}) as server:
            locking(server, bench.report)


def throttling(server, report):
    user = Api(server).as_admin().post("/users", user={"name": "guessed", "password": "pw"}).ok()["user"]["id"]
    client = Client(server.port)
    begun = time.monotonic()
    statuses = collections.Counter(client.login(user, f"guess-{n}").status for n in range(100))
    took = time.monotonic() - begun
    report.check("of 100 guesses at one user some are refused (429)", statuses[429] > 0, f"{dict(statuses)} in {took:.1f} s")
    elsewhere = Client(server.port, address="127.0.0.2").login(user, "pw").status
    report.check("their user still logs in from another address", elsewhere == 201, elsewhere)
    statuses = collections.Counter(client.login(f"{n:032x}", "guess").status for n in range(200))
    report.check("of guesses at 200 users from one address some are refused (429)", statuses[429] > 0, dict(statuses))


def locking(server, report):
    admin = Api(server).as_admin()
    user = admin.post("/users", user={"name": "locked", "password": "pw"}).ok()["user"]["id"]
    one = Client(server.port)
    guesses = [one.login(user, "wrong").status for _ in range(5)]
    right = one.login(user, "pw").status
    report.check(
        "[security_compliance] lockout_failure_attempts locks", set(guesses) == {401} and right == 401,
        f"{guesses}, then the right one: {right}",
    )  # fmt: skip
    time.sleep(2.3)
    report.check("and lockout_duration unlocks", (status := one.login(user, "pw").status) == 201, status)
    other = admin.post("/users", user={"name": "raced", "password": "pw"}).ok()["user"]["id"]
    with Logins(server, other, 32, "wrong") as crowd:
        time.sleep(1)
    right = one.login(other, "pw").status
    report.check(
        "32 that guess at once lock it too", right == 401 and set(crowd.statuses) == {401},
        f"{dict(crowd.statuses)}, then the right one: {right}",
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=pathlib.Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--database", choices=["sqlite", *SERVERS], default="sqlite")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of bcrypt; fewer on a busy machine")
    parser.add_argument("--limit", type=int, default=420, metavar="SECONDS", help="when to give up")
    parser.add_argument("--write", action="store_true", help="put the report in docs/performance.md")
    arguments = parser.parse_args()
    Archstone.binary = str(arguments.archstone.absolute())
    if arguments.database != "sqlite":
        Archstone.databases = SERVERS[arguments.database].for_tests()

    report = Findings()
    try:
        with bounded(arguments.limit), tempfile.TemporaryDirectory() as directory:
            config = {"identity": {"password_hash_rounds": str(arguments.rounds)}, "archstone": UNLIMITED}
            server = Archstone(pathlib.Path(directory) / "server", config)
            try:
                bench = Bench(server.prepare().start(), report, arguments.rounds)
                for part in PARTS:
                    if part in arguments.only:
                        try:
                            globals()[part](bench)
                        except LoadFailed as failed:
                            report.check(f"{part}: no validation failed", False, failed)
            finally:
                server.kill()
    except OutOfTime as late:
        report.check("the run ends in time", False, late)
    return report.end("overload", arguments.write)


if __name__ == "__main__":
    sys.exit(main())
