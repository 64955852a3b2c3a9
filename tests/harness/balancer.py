"""HAProxy before several servers, on loopback, as operators would have it."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import requests

from harness.servers import ServerFailed, free_port

START_LIMIT_S = 10

CONFIG = """
global
    stats socket {directory}/admin level admin
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 40s
    timeout check 1s
    # A server that refuses the connection has not seen the request: another one may have it.
    option redispatch 1
    retries 2
    retry-on conn-failure
frontend keystone
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /healthcheck
    # A server that says it is not ready gets nothing new, and ends what it has. One that is gone is cut off.
    http-check expect status 200 error-status L7OKC
    default-server check inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions
{servers}
"""


class Balancer:
    """Sends each request to the next of the servers that say they are ready."""

    def __init__(self, servers):
        self.servers = servers
        self.port = free_port()
        self.process = None
        self.directory = Path(tempfile.mkdtemp(prefix="balancer-"))

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"{self.base}/v3"

    def start(self):
        program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
        if program is None:
            raise ServerFailed("haproxy is missing: install Debian's package haproxy")
        servers = "\n".join(f"    server node-{n} 127.0.0.1:{one.port}" for n, one in enumerate(self.servers))
        config = self.directory / "haproxy.cfg"
        config.write_text(CONFIG.format(directory=self.directory, port=self.port, servers=servers))
        log = self.directory / "output.log"
        with open(log, "ab") as output:
            command = [program, "-db", "-f", config]
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(self.url, timeout=1).status_code == 200:
                    return self
            except requests.RequestException:
                pass
            time.sleep(0.05)
        self.stop()
        raise ServerFailed(f"haproxy did not start:\n{log.read_text()}")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()
