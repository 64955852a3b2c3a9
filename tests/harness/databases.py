"""Private database servers for the tests: MariaDB and PostgreSQL on loopback, in directories that end with the tests.

As a program it starts both, prints their environment as JSON, and stops them when its standard input ends, so that a
test run of several programs shares them: `python -m harness.databases`.
"""

import argparse
import atexit
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import psycopg2
import pymysql

from harness.servers import free_port

START_LIMIT_S = 60
#: Debian keeps PostgreSQL's own programs out of the path.
POSTGRESQL_PROGRAMS = Path("/usr/lib/postgresql")


class DatabaseFailed(Exception):
    """A database server did not do what was asked; the message carries its output."""


class DatabaseServer:
    """One database server with a password of its own; `fresh()` makes a database in it and tells its URL."""

    name = ""
    #: The variable that tells the URL of a server which someone else started.
    variable = ""
    scheme = ""
    #: The signal that ends the server without a farewell.
    at_once = signal.SIGTERM

    def __init__(self, durable=False):
        #: Whether what is committed outlives the server's end.
        self.durable = durable
        self.process = self.directory = None
        self.made = 0
        self.port, self.password = 0, ""

    @classmethod
    def for_tests(cls):
        """The server that the environment names, or one that ends with this process."""
        server = cls()
        if base := os.environ.get(cls.variable):
            url = urllib.parse.urlsplit(base)
            server.port, server.password = url.port, url.password
            return server
        return server.start()

    @property
    def base(self):
        """The server's URL without a database."""
        return f"{self.scheme}://keystone:{self.password}@127.0.0.1:{self.port}"

    def initialise(self):
        """Makes the data directory."""
        raise NotImplementedError

    def command_line(self):
        raise NotImplementedError

    def execute(self, statement):
        """Runs one statement as the administrator, outside of a transaction."""
        raise NotImplementedError

    def owner(self):
        """Who runs the server: arguments of subprocess.Popen."""
        return {}

    def fresh(self):
        """The URL of a new and empty database."""
        self.made += 1
        name = f"keystone_{os.getpid()}_{self.made}"
        self.execute(f"CREATE DATABASE {name}")
        return f"{self.base}/{name}"

    def start(self):
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.password = secrets.token_hex(12)
        self.port = free_port()
        self.initialise()
        atexit.register(self.stop)
        return self.serve()

    def serve(self):
        """Starts the server on the data that is there, and waits until it answers."""
        with open(self.directory / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(), stdout=log, stderr=log, start_new_session=True, **self.owner()
            )
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.execute("SELECT 1")
                return self
            except (pymysql.Error, psycopg2.Error) as refused:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise DatabaseFailed(f"{self.name} did not start: {refused}\n{self.log()}") from refused
                time.sleep(0.1)

    def log(self):
        return (self.directory / "output.log").read_text(errors="replace")[-4000:]

    def crash(self):
        """Ends the server at once, without a farewell; `serve` brings it back with what was committed."""
        if self.process is not None:
            self.process.send_signal(self.at_once)
            self.process.wait()
            self.process = None

    def stop(self):
        atexit.unregister(self.stop)
        self.crash()
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepared(self, *command):
        # Two that make databases in the machine's own directory for that get into each other's way.
        environment = {**os.environ, "TMPDIR": str(self.directory)}
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment, **self.owner()
        )
        if done.returncode != 0:
            raise DatabaseFailed(f"{' '.join(map(str, command))} exited {done.returncode}:\n{done.stdout}{done.stderr}")


class MariaDb(DatabaseServer):
    name = "mariadb"
    variable = "ARCHSTONE_TEST_MARIADB"
    scheme = "mysql+pymysql"
    at_once = signal.SIGKILL

    def initialise(self):
        self.prepared(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data",
            "--auth-root-authentication-method=normal", "--skip-test-db", *self.as_root(),
        )  # fmt: skip
        (self.directory / "init.sql").write_text(
            f"CREATE USER keystone@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO keystone@'127.0.0.1';\n"
        )

    @staticmethod
    def as_root():
        return ["--user=root"] if os.geteuid() == 0 else []

    def command_line(self):
        return [
            shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin"), "--no-defaults", *self.as_root(),
            f"--datadir={self.directory}/data", f"--socket={self.directory}/socket", "--bind-address=127.0.0.1",
            f"--port={self.port}", f"--init-file={self.directory}/init.sql", "--skip-name-resolve",
            # A server that starts clears this of what it takes for its own.
            f"--tmpdir={self.directory}",
            "--skip-innodb-doublewrite", "--innodb-buffer-pool-size=64M",
            # Nothing here outlives a power cut, so nothing need wait for the disk.
            f"--innodb-flush-log-at-trx-commit={2 if self.durable else 0}",
        ]  # fmt: skip

    def execute(self, statement):
        url = {"host": "127.0.0.1", "port": self.port, "user": "keystone", "password": self.password}
        with pymysql.connect(**url, connect_timeout=5) as connection, connection.cursor() as cursor:
            cursor.execute(statement)


class PostgreSql(DatabaseServer):
    name = "postgresql"
    variable = "ARCHSTONE_TEST_POSTGRESQL"
    #: SQLAlchemy takes another driver where none is named.
    scheme = "postgresql+psycopg2"
    #: Takes its own processes down with it, which SIGKILL would not.
    at_once = signal.SIGQUIT

    def owner(self):
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}

    @staticmethod
    def program(name):
        versions = sorted(POSTGRESQL_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
        return versions[-1] if versions else Path(shutil.which(name) or name)

    def initialise(self):
        (password := self.directory / "password").write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.directory, password):
                shutil.chown(path, "postgres", "postgres")
        self.prepared(
            self.program("initdb"), f"--pgdata={self.directory}/data", "--username=keystone", f"--pwfile={password}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def command_line(self):
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory,
            "fsync": "off", "synchronous_commit": "on" if self.durable else "off", "full_page_writes": "off",
            "max_connections": 200,
        }  # fmt: skip
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.program("postgres")), "-D", f"{self.directory}/data", *options]

    def execute(self, statement):
        server = {"host": "127.0.0.1", "port": self.port, "user": "keystone", "password": self.password}
        connection = psycopg2.connect(**server, dbname="postgres", connect_timeout=5)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


SERVERS = {server.name: server for server in (MariaDb, PostgreSql)}


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    servers = [server().start() for server in SERVERS.values()]
    print(json.dumps({server.variable: server.base for server in servers}), flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    for server in servers:
        server.stop()


if __name__ == "__main__":
    main()
