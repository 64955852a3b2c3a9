"""A client that costs little, and `wrk`, which costs less, for validations."""

import http.client
import json
import select
import socket
import statistics

from wrk import Request, wrk


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

    def __init__(self, port, token=None, timeout_s=40, address=""):
        """`address` is where it comes from: any of 127.0.0.0/8."""
        self.port, self.token = port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout_s, (address, 0))

    def ask(self, method, path, body=None, **headers):
        """The answer, or Broken. `X_Auth_Token=None` leaves the client's own token out."""
        headers = {"X_Auth_Token": self.token, **headers}
        headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            if self.connection.sock is not None and select.select([self.connection.sock], [], [], 0)[0]:
                # The server has closed it, while nothing was asked: no answer is lost.
                self.connection.close()
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


def validations(server, token, clients=16, seconds=3):
    """What `wrk` measures of the validation of a token, which asks for itself."""
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    return wrk(server.base, Request("/v3/auth/tokens", headers=headers), clients, seconds)


def quantile(times, part):
    """The time that this part of the times is below; 0 of none."""
    if not times:
        return 0.0
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def slope(points):
    """How much y grows with each unit of x, by least squares."""
    return statistics.linear_regression(*zip(*points)).slope if len(points) > 1 else 0.0
