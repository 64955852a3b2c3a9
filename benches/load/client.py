"""A client that costs little, and `wrk` for one that costs less."""

import http.client
import json
import re
import shutil
import socket
import statistics
import subprocess


class Broken(Exception):
    """No answer came: the connection was refused, cut or silent for too long."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def token(self):
        return self.headers["X-Subject-Token"]

    @property
    def id(self):
        return self.headers.get("X-Openstack-Request-Id")


class Client:
    """One connection that is kept, and opened again when it was lost."""

    def __init__(self, port, token=None, timeout_s=40):
        self.port, self.token = port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def ask(self, method, path, body=None, **headers):
        """The answer, or Broken. `X_Auth_Token=None` leaves the client's own token out."""
        headers = {"X_Auth_Token": self.token, **headers}
        headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            if self.connection.sock is None:
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as failure:
            self.connection.close()
            raise Broken(type(failure).__name__) from failure

    def login(self, user, password, scope=None):
        identity = {"methods": ["password"], "password": {"user": {"id": user, "password": password}}}
        return self.authenticate(identity, scope)

    def authenticate(self, identity, scope=None):
        auth = {"identity": identity, **({"scope": scope} if scope else {})}
        return self.ask("POST", "/v3/auth/tokens", {"auth": auth}, X_Auth_Token=None)

    def validate(self, token):
        return self.ask("GET", "/v3/auth/tokens", X_Subject_Token=token)

    def close(self):
        self.connection.close()


class Throughput:
    """What `wrk` measured."""

    def __init__(self, per_second, p50_ms, p99_ms, longest_ms, failed):
        self.per_second, self.p50_ms, self.p99_ms = per_second, p50_ms, p99_ms
        self.longest_ms, self.failed = longest_ms, failed

    def __str__(self):
        failed = f", {self.failed} FAILED" if self.failed else ""
        return f"{self.per_second:.0f}/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms{failed}"


UNIT_MS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


def wrk(url, headers, connections=16, seconds=3):
    """Has `wrk` ask for this URL as fast as it is answered."""
    program = shutil.which("wrk")
    if program is None:
        raise FileNotFoundError("wrk is missing: install Debian's package wrk")
    command = [program, "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    told = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60).stdout

    def milliseconds(line):
        number, unit = re.search(line + r"\s+([\d.]+)(us|ms|s|m)\b", told).groups()
        return float(number) * UNIT_MS[unit]

    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", told).group(1))
    # Latency   Avg   Stdev   Max
    longest, unit = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\b", told).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    failed = int(refused.group(1)) if refused else 0
    failed += sum(map(int, broken.groups())) if broken else 0
    return Throughput(
        per_second, milliseconds("50%"), milliseconds("99%"), float(longest) * UNIT_MS[unit], failed
    )


def quantile(times, part):
    """The time that this part of the times is below; 0 of none."""
    if not times:
        return 0.0
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def slope(points):
    """How much y grows with each unit of x, by least squares."""
    return statistics.linear_regression(*zip(*points)).slope if len(points) > 1 else 0.0
