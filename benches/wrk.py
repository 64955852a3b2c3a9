"""Load on a server by `wrk`, and what the server's processes spend on it."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
#: How long a server may go on with requests whose clients have left.
SETTLE_LIMIT_S = 120
#: A request that takes longer counts as failed.
REQUEST_LIMIT_S = 180


class LoadFailed(Exception):
    """Requests did not get the answer that they are measured for."""


@dataclass
class Request:
    path: str
    method: str = "GET"
    body: dict | None = None
    headers: dict = field(default_factory=dict)


@dataclass
class Result:
    """What `wrk` measured, in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    late: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self):
        return self.requests / self.seconds


def wrk(base, request, clients, seconds):
    """Sends a request over and over from so many connections.

    Raises LoadFailed where an answer is an error, or a connection breaks.
    """
    program = shutil.which("wrk") or "wrk"
    headers = {**request.headers, **({"Content-Type": "application/json"} if request.body else {})}
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    environment = {**os.environ, "BENCH_METHOD": request.method}
    if request.body:
        environment["BENCH_BODY"] = json.dumps(request.body)
    # One thread of wrk makes more requests than any of the servers can answer.
    done = subprocess.run(
        [program, "--threads", "1", "--connections", str(clients), "--duration", f"{seconds:.0f}s",
         "--timeout", f"{REQUEST_LIMIT_S}s", "--script", Path(__file__).with_name("wrk.lua"), *words, base + request.path],
        env=environment, capture_output=True, text=True, timeout=seconds + REQUEST_LIMIT_S,
    )  # fmt: skip
    told = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not told:
        raise LoadFailed(f"wrk exited {done.returncode}:\n{done.stdout}{done.stderr}")
    result = Result(**json.loads(told[0]))
    if result.refused or result.broken or result.late:
        raise LoadFailed(f"{request.method} {request.path} by {clients} clients: {result}")
    return result


class Processes:
    """Process groups: a server's process with those that it started, and what serves it alone.

    Each group's leader counts with its children, which PostgreSQL gives groups of their own.
    """

    def __init__(self, *groups):
        self.groups = groups

    def statistics(self):
        """The fields of /proc/PID/stat after the name, for each process of the groups."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) in self.groups or int(fields[1]) in self.groups:
                        yield int(entry.name), fields

    def cpu_s(self):
        """CPU seconds so far, with those of processes that have ended."""
        return sum(int(ticks) for _, fields in self.statistics() for ticks in fields[11:15]) / TICKS

    def memory_mib(self):
        """Resident memory; what processes share counts once."""
        kib = 0
        for pid, _ in self.statistics():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def settle(self):
        """Waits until the processes have nothing to do."""
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.3)
            if self.cpu_s() - before <= 2 / TICKS:
                return
