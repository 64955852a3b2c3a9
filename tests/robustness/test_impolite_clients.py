"""Clients that do not read, and such that send more than anybody wants."""

import socket
import threading
import time

import pytest
import requests

from harness.api import Api
from harness.plugins import wait_until

pytestmark = pytest.mark.archstone_only

CLIENTS = 10
ASKED = 50
LARGEST = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: What a client may take none of its answer for, and the machine's own time.
CUT_WITHIN_S = 38


def connect(server, buffer):
    """A connection that takes so much before it is read from."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", server.port))
    return connection


def connections(server):
    """How many the server has, and the system for it: closed ones too whose last bytes were not taken."""
    port, listens, is_over = f":{server.port:04X}", "0A", "06"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    return sum(row[1].endswith(port) and row[3] not in (listens, is_over) for row in rows)


class Dawdler(threading.Thread):
    """Reads a little of an answer each second for longer than a client may pause, and then the rest."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection, self.received = connect(server, 1 << 16), 0
        self.connection.sendall(LARGEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    def run(self):
        try:
            for _ in range(CUT_WITHIN_S - 4):
                self.received += len(self.connection.recv(8192))
                time.sleep(1)
            while part := self.connection.recv(1 << 20):
                self.received += len(part)
        except OSError:
            pass


def test_who_never_reads_is_cut_and_who_reads_slowly_is_not(start):
    server = start()
    whole = len(requests.get(f"{server.base}/openapi.json", timeout=30).content)
    began = time.monotonic()
    deaf = [connect(server, 1 << 12) for _ in range(CLIENTS)]
    for connection in deaf:
        connection.sendall(LARGEST * ASKED)
    time.sleep(2)
    slow = Dawdler(server)
    slow.start()
    assert connections(server) >= CLIENTS + 1
    wait_until(lambda: connections(server) <= 1, "an end to those who do not read", CUT_WITHIN_S)
    assert time.monotonic() - began > 20, "a client that pauses is not cut at once"
    slow.join(20)
    assert slow.received > whole
    for connection in deaf:
        connection.close()


def announced(server, path, length, token=None):
    """The answer to a request that says how long its body is, and sends the beginning of it."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {length}"]
    head += [f"X-Auth-Token: {token}"] if token else []
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + b"{" * 1000)
        return connection.recv(65536).decode()


def test_a_body_that_says_it_is_too_long_is_refused_unread(server, admin):
    limit = 114688
    for path in ("/v3/users", "/v3/auth/tokens", "/v3/nothing", "/v4/connectors"):
        for length in (limit + 1, 100 << 30, 1 << 62):
            began = time.monotonic()
            told = announced(server, path, length, admin.token)
            assert told.startswith("HTTP/1.1 413 ") and '"code":413' in told.replace(" ", ""), (path, length, told)
            assert time.monotonic() - began < 5
    assert announced(server, "/v3/users", limit + 1).startswith("HTTP/1.1 413 "), "without a token too"


@pytest.mark.parametrize("size", [114689, 1 << 20])
def test_who_sends_too_long_a_body_reads_why_it_was_refused(server, admin, size):
    Api(server, admin.token)("POST", "/users", data=b"{" * size).fails(413)


def test_a_body_as_long_as_the_limit_is_read(server, admin):
    body = b'{"user": {"name": "long", "description": "%s"}}'
    body %= b"x" * (114688 - len(body) + 2)
    assert len(body) == 114688
    json = {"Content-Type": "application/json"}
    assert admin("POST", "/users", data=body, headers=json).status == 201
