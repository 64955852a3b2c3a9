"""Clients that mean no good, or are on a very bad line."""

import re
import select
import socket
import threading
import time

PATIENCE_S = 20


class Slow:
    """A connection that does one small thing each second until the server has enough of it."""

    def __init__(self, port):
        self.port = port
        self.socket = None
        #: After how many seconds the server closed it; None while it has not.
        self.cut_after = None
        #: The status that it was told, if any.
        self.told = None

    def begin(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.socket.setblocking(False)
        self.began = time.monotonic()
        self.hello()

    def hello(self):
        pass

    def tick(self):
        """Does the small thing."""

    def listen(self):
        """Notes what came from the server, the end above all."""
        try:
            while True:
                received = self.socket.recv(65536)
                if not received:
                    return self.ended()
                if self.told is None and (status := re.match(rb"HTTP/1.1 (\d+)", received)):
                    self.told = int(status.group(1))
        except BlockingIOError:
            return None
        except OSError:
            return self.ended()

    def ended(self):
        self.cut_after = time.monotonic() - self.began
        self.close()

    def send(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.ended()

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Silent(Slow):
    """Says nothing."""


class SlowHeaders(Slow):
    def hello(self):
        self.send(b"GET /v3 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

    def tick(self):
        self.send(b"a")


class SlowBody(Slow):
    def hello(self):
        head = b"POST /v3/auth/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
        self.send(head + b'{"auth": {"identity": "')

    def tick(self):
        self.send(b"a")


class Deaf(Slow):
    """Asks for the largest document again and again and reads nothing, until the server gives up."""

    def begin(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", self.port))
        self.socket.setblocking(False)
        self.began = time.monotonic()
        self.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)

    def tick(self):
        # The system says nothing of a connection that it gave up until it is sent something.
        self.send(b"G")

    def listen(self):
        # The end shows as an error: to read would be to let the server go on.
        poll = select.poll()
        poll.register(self.socket, select.POLLERR | select.POLLHUP | select.POLLRDHUP)
        if poll.poll(0):
            self.ended()


class Crowd:
    """Slow clients together, driven by one thread."""

    def __init__(self, clients):
        self.clients = clients
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.drive, daemon=True)

    def __enter__(self):
        for client in self.clients:
            client.begin()
        self.thread.start()
        return self

    def drive(self):
        while not self.done.wait(1):
            for client in self.clients:
                if client.socket is not None:
                    client.tick()
                if client.socket is not None:
                    client.listen()

    def wait(self, limit_s):
        """Until the server has cut all of them, or for so long."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline and any(client.socket for client in self.clients):
            time.sleep(0.5)

    def __exit__(self, *failure):
        self.done.set()
        self.thread.join()
        for client in self.clients:
            client.close()


def raw(port, data):
    """The status that these bytes are answered with, or what happened instead."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(data)
        except OSError:
            pass  # the answer may be there already
        return status_of(connection)


def status_of(connection):
    connection.settimeout(PATIENCE_S)
    try:
        received = connection.recv(65536)
    except OSError as failure:
        return type(failure).__name__
    found = re.match(rb"HTTP/1.[01] (\d+)", received)
    return int(found.group(1)) if found else "closed" if not received else repr(received[:40])


def head(token, *more):
    lines = [b"POST /v3/users HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", b"X-Auth-Token: " + token.encode(), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(port, body, token):
    return raw(port, head(token, b"Content-Length: %d" % len(body)) + body)


def announced(port, size, token):
    """The answer to a request that says its body is so large, and has sent the first of it."""
    return raw(port, head(token, b"Content-Length: %d" % size) + b"{" * 1000)


def endless_chunks(port, token, most=64 << 20):
    """The answer to chunks without end; `read it all` where so much of them was taken."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(head(token, b"Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < most:
                connection.sendall(chunk)
                sent += len(chunk)
                if select.select([connection], [], [], 0)[0]:
                    break
        except OSError:
            pass
        return "read it all" if sent >= most else status_of(connection)
