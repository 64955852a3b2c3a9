"""A server that is asked to stop: what it says, whom it still serves, and that nobody's request is lost."""

import re
import signal
import socket
import time

import pytest
import requests

pytestmark = pytest.mark.archstone_only

REQUEST = b"GET /v3 HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: How many clients wait to be accepted at once.
WAITING = 20
PATIENCE_S = 10


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def answer(connection):
    """The status and the head of the next answer, or what happened instead."""
    received = b""
    try:
        while not (head := received.partition(b"\r\n\r\n"))[1]:
            part = connection.recv(65536)
            if not part:
                return "closed", ""
            received += part
        length = int(re.search(rb"(?i)content-length: (\d+)", head[0]).group(1))
        left = length - len(head[2])
        while left > 0:
            left -= len(connection.recv(left))
    except OSError as failure:
        return type(failure).__name__, ""
    return int(received.split()[1]), head[0].decode().lower()


def ask(connection):
    connection.sendall(REQUEST)
    return answer(connection)


def says_last(head):
    return "connection: close" in head


def tell(server, which=signal.SIGTERM):
    server.process.send_signal(which)


def is_draining(server):
    deadline = time.monotonic() + PATIENCE_S
    while (told := requests.get(f"{server.base}/healthcheck", timeout=5)).status_code != 503:
        assert time.monotonic() < deadline, "it does not say that it is about to stop"
        time.sleep(0.02)
    return told


def ended(server, within_s):
    """The exit status, and after how many seconds it came."""
    began = time.monotonic()
    code = server.process.wait(within_s)
    server.process = None
    return code, time.monotonic() - began


def test_a_server_that_drains_says_so_and_serves_until_its_time_is_over(start):
    drain_s = 3
    server = start({"archstone": {"drain_time": drain_s}})
    kept, idle = connect(server), connect(server)
    for connection in (kept, idle):
        status, head = ask(connection)
        assert status == 200 and not says_last(head)
    tell(server)
    began = time.monotonic()
    told = is_draining(server)
    assert told.json()["status"] == "unavailable" and told.json()["reasons"] and told.headers["Connection"] == "close"
    assert requests.get(f"{server.base}/healthcheck/live", timeout=5).status_code == 200
    status, head = ask(kept)
    assert status == 200 and says_last(head)
    assert kept.recv(1) == b"", "the connection ends with the answer that says so"
    while time.monotonic() < began + drain_s - 0.5:
        status, head = ask(connect(server))
        assert status == 200 and says_last(head)
        time.sleep(0.1)
    status, head = ask(idle)
    assert status == 200 and says_last(head)
    code, _ = ended(server, PATIENCE_S)
    assert code == 0 and drain_s - 0.1 < time.monotonic() - began < drain_s + 3
    with pytest.raises(ConnectionRefusedError):
        connect(server)


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_who_asks_twice_is_not_kept_waiting(start, again):
    server = start({"archstone": {"drain_time": 60}})
    tell(server)
    is_draining(server)
    tell(server, again)
    assert ended(server, PATIENCE_S)[0] == 0


def test_a_server_without_a_drain_time_stops_at_once(start):
    server = start()
    idle = connect(server)
    ask(idle)
    tell(server)
    code, took = ended(server, PATIENCE_S)
    assert code == 0 and took < 3
    assert idle.recv(1) == b""


def test_who_waits_to_be_accepted_is_served(start):
    server = start()
    # While it does not run, clients wait in the system's queue.
    tell(server, signal.SIGSTOP)
    waiting = [connect(server) for _ in range(WAITING)]
    for connection in waiting[: WAITING // 2]:
        connection.sendall(REQUEST)
    tell(server)
    tell(server, signal.SIGCONT)
    time.sleep(0.1)
    for connection in waiting[WAITING // 2 :]:
        connection.sendall(REQUEST)
    told = [answer(connection) for connection in waiting]
    assert [status for status, _ in told] == [200] * WAITING
    assert ended(server, PATIENCE_S)[0] == 0


def test_a_request_on_its_way_over_a_kept_connection_is_answered(start):
    server = start()
    kept = [connect(server) for _ in range(WAITING)]
    for connection in kept:
        ask(connection)
    tell(server)
    time.sleep(0.2)
    told = [ask(connection) for connection in kept]
    assert [status for status, _ in told] == [200] * WAITING
    assert all(says_last(head) for _, head in told)
    assert ended(server, PATIENCE_S)[0] == 0
