"""Requests written byte by byte, for what no HTTP library would send."""

import json
import socket

TIMEOUT_S = 30


class WireAnswer:
    """A status and a body, read until the server closes or the body is whole."""

    def __init__(self, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = body

    @property
    def error(self):
        """Keystone's error object, or None where the body is none."""
        try:
            error = json.loads(self.body)["error"]
            return error if {"code", "title", "message"} <= set(error) else None
        except (ValueError, KeyError, TypeError):
            return None

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def send(port, data):
    """Writes bytes to a loopback port and reads one answer; None when the server just closed the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # A server may refuse before it has read everything; its answer is still there to read.
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return WireAnswer(received) if received.startswith(b"HTTP/") else None


def request(method, target, headers=None, body=b""):
    """The bytes of a request that asks for the connection to be closed."""
    lines = [b"%s %s HTTP/1.1" % (as_bytes(method), as_bytes(target)), b"Host: 127.0.0.1", b"Connection: close"]
    lines += [b"%s: %s" % (as_bytes(name), as_bytes(value)) for name, value in (headers or {}).items()]
    if body and "Transfer-Encoding" not in (headers or {}):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()
