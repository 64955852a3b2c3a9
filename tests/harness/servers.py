"""Servers that the tests start themselves: Archstone, and Python Keystone 30 as the original to compare with.

Both read the same keystone.conf, so a test that passes on one can be pointed at the other.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from harness import saml

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
ADMIN_PASSWORD = "the-admin-of-the-tests"
START_LIMIT_S = 60
STOP_LIMIT_S = 15

BASE_CONFIG = {
    "DEFAULT": {"log_file": "{dir}/keystone.log"},
    "database": {"connection": "sqlite:///{dir}/keystone.db"},
    "fernet_tokens": {"key_repository": "{dir}/fernet-keys"},
    "fernet_receipts": {"key_repository": "{dir}/receipt-keys"},
    "credential": {"key_repository": "{dir}/credential-keys"},
    "cache": {"enabled": "false"},
    # The least number of rounds that bcrypt knows: the tests hash thousands of passwords.
    "identity": {"password_hash_rounds": "4"},
}


class ServerFailed(Exception):
    """A server or one of its commands did not do what was asked; the message carries its output."""


def free_port():
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ini(config):
    """The text of an oslo.config file with these options by section."""
    sections = (
        "\n".join([f"[{section}]", *(f"{key} = {value}" for key, value in options.items())])
        for section, options in config.items()
    )
    return "\n".join(sections) + "\n"


def newest_binary():
    """The archstone that was built last; None where there is none."""
    built = [path for profile in ("debug", "release") if (path := ROOT / "target" / profile / "archstone").exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


class Server:
    """A server with a directory, a configuration, a database and an administrator of its own.

    `config` overlays BASE_CONFIG: `{"token": {"expiration": 2}}`. `{dir}` in a value is the directory.
    """

    name = ""
    #: What this kind of server is configured with unless a test says otherwise.
    DEFAULTS = {}
    #: The database server of every server that names no database: None is SQLite in the directory.
    databases = None
    #: A directory with a bootstrapped database and keys, made once per test run.
    template = None
    template_lock = threading.Lock()

    def __init__(self, directory, config=None):
        self.directory = Path(directory)
        self.port = free_port()
        self.process = None
        self.config = {section: dict(options) for section, options in BASE_CONFIG.items()}
        for section, options in [*self.DEFAULTS.items(), *(config or {}).items()]:
            self.config.setdefault(section, {}).update(options)

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"{self.base}/v3"

    @property
    def config_file(self):
        return self.directory / "keystone.conf"

    def write_config(self):
        """Writes keystone.conf from `self.config`; a running server must be restarted to see it."""
        self.config_file.write_text(ini(self.config).replace("{dir}", str(self.directory)))

    def prepare(self):
        """Makes the directory: configuration, keys, schema and the bootstrapped administrator; a key pair for `[saml]`."""
        if self.config["database"] == BASE_CONFIG["database"] and self.databases is not None:
            self.config["database"] = {"connection": self.databases.fresh()}
        if self.config["database"] == BASE_CONFIG["database"]:
            shutil.copytree(self.make_template(), self.directory, dirs_exist_ok=True)
            self.write_config()
        else:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.write_config()
            self.bootstrap()
        if "saml" in self.config:
            saml.make_key_pair(self.directory)
        return self

    def make_template(self):
        """The directory that servers begin as copies of; made by the first call."""
        cls = type(self)
        with cls.template_lock:
            if cls.template is None:
                plain = cls(Path(tempfile.mkdtemp(prefix=f"{self.name}-")))
                plain.write_config()
                plain.bootstrap()
                cls.template = plain.directory
                atexit.register(shutil.rmtree, cls.template, ignore_errors=True)
        return cls.template

    def bootstrap(self):
        """Makes keys, schema and administrator with the server's own commands."""
        raise NotImplementedError

    def command_line(self):
        """The command that serves."""
        raise NotImplementedError

    def environment(self):
        return {key: value for key, value in os.environ.items() if not key.startswith("OS_")}

    def run(self, *arguments, environment=None, check=True, timeout=120):
        """Runs a command to its end and gives the CompletedProcess with its output as text."""
        done = subprocess.run(
            [str(argument) for argument in arguments],
            env={**self.environment(), **(environment or {})},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise ServerFailed(f"{' '.join(map(str, arguments))} exited {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def start(self):
        """Starts serving and waits until a request is answered."""
        with open(self.directory / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(),
                env=self.environment(),
                cwd=self.directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} exited {self.process.returncode} at the start:\n{self.log()}")
            try:
                if requests.get(self.url, timeout=5).status_code == 200:
                    return self
            except requests.RequestException:
                time.sleep(0.05)
        self.kill()
        raise ServerFailed(f"{self.name} did not answer within {START_LIMIT_S} s:\n{self.log()}")

    def stop(self):
        """Asks the server to end, as an init system would."""
        self._end(signal.SIGTERM)

    def kill(self):
        """Takes the server down with SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how):
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, how)
            self.process.wait(STOP_LIMIT_S)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def log(self, last=4000):
        """The end of what the server wrote."""
        texts = [path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log"))]
        return "\n".join(texts)[-last:]

    def __enter__(self):
        return self.prepare().start()

    def __exit__(self, *failure):
        self.stop()

    def bootstrap_options(self):
        return [
            "--bootstrap-password", ADMIN_PASSWORD,
            "--bootstrap-region-id", "RegionOne",
            "--bootstrap-public-url", "http://identity.example/v3",
            "--bootstrap-internal-url", "http://identity.internal/v3",
            "--bootstrap-admin-url", "http://identity.admin/v3",
        ]  # fmt: skip


class Archstone(Server):
    """The server under test. `Archstone.binary` is set once by conftest."""

    name = "archstone"
    # What Archstone remembers must never show.
    DEFAULTS = {"cache": {"enabled": "true"}}
    binary = None

    def archstone(self, *arguments, **options):
        """Runs one of the binary's own commands with this server's configuration."""
        return self.run(self.binary, "--config-file", self.config_file, *arguments, **options)

    def bootstrap(self):
        self.archstone("db", "sync")
        self.archstone("fernet", "setup")
        self.archstone("credential", "setup")
        self.archstone("bootstrap", *self.bootstrap_options())

    def command_line(self):
        return [self.binary, "--config-file", str(self.config_file), "serve", "--listen", f"127.0.0.1:{self.port}"]


class PythonKeystone(Server):
    """Python Keystone 30 under uwsgi, from the virtual environment that runs the tests."""

    name = "keystone"
    bin = Path(sys.prefix) / "bin"

    def manage(self, *arguments, **options):
        """Runs keystone-manage with this server's configuration."""
        return self.run(self.bin / "keystone-manage", "--config-file", self.config_file, *arguments, **options)

    def bootstrap(self):
        self.manage("db_sync")
        for repository in ("fernet_setup", "credential_setup"):
            self.manage(repository, "--keystone-user", "root", "--keystone-group", "root")
        self.manage("bootstrap", *self.bootstrap_options())

    def environment(self):
        return {**super().environment(), "OS_KEYSTONE_CONFIG_FILES": str(self.config_file)}

    def command_line(self):
        told_of_clients = "assertion_header_prefix" in self.config.get("archstone", {})
        return [
            str(self.bin / "uwsgi"),
            "--http-socket", f"127.0.0.1:{self.port}",
            "--pythonpath", str(TESTS),
            "--module", f"{'harness.behind_web_server' if told_of_clients else 'keystone.wsgi.api'}:application",
            # One request after the other: of two at once, one made its project in the other's domain.
            "--master", "--processes", "1", "--threads", "1",
            "--lazy-apps", "--die-on-term", "--need-app", "--buffer-size", "65535", "--post-buffering", "65536",
            # uwsgi closes each connection without saying so, and a client that reuses it would be reset.
            "--add-header", "Connection: close",
        ]  # fmt: skip


class CachingKeystone(PythonKeystone):
    """Python Keystone with the cache of its one process, without which a request takes ten times as long.

    Tokens stay out of the cache: a cached one does not learn of a role that its user gets.
    """

    DEFAULTS = {"cache": {"enabled": "true", "backend": "dogpile.cache.memory"}, "token": {"caching": "false"}}


TARGETS = {server.name: server for server in (Archstone, PythonKeystone)}
