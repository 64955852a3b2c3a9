"""A MariaDB Galera cluster on loopback: each node is a server of its own, and all have the same data."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

from harness.databases import DatabaseFailed, MariaDb
from harness.servers import free_port

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
#: How long a member may be silent before the others go on without it. The default is 5 s, and nobody commits meanwhile.
SUSPECT_AFTER_S = 2
JOIN_LIMIT_S = 90


class GaleraNode(MariaDb):
    """One member. Its data outlives `crash`, so that it can come back."""

    name = "galera"

    def __init__(self, cluster, number):
        super().__init__(durable=True)
        self.cluster, self.number = cluster, number
        self.directory = cluster.directory / f"node-{number}"
        self.directory.mkdir()
        self.password = cluster.password
        self.port, self.group_port, self.transfer_port, self.snapshot_port = (free_port() for _ in range(4))

    def owner(self):
        """State transfer by rsync works for no superuser."""
        return {"user": "mysql", "group": "mysql", "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}

    @staticmethod
    def as_root():
        return []

    def hand_over(self):
        """Gives the node's files to whom the server runs as."""
        if os.geteuid() == 0:
            for path in (self.directory, *self.directory.rglob("*")):
                shutil.chown(path, "mysql", "mysql")

    def command_line(self, *more):
        options = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self.transfer_port}",
            "gcache.size": "64M",
            "evs.keepalive_period": "PT0.5S",
            "evs.suspect_timeout": f"PT{SUSPECT_AFTER_S}S",
            "evs.inactive_timeout": f"PT{3 * SUSPECT_AFTER_S}S",
            "evs.install_timeout": f"PT{3 * SUSPECT_AFTER_S}S",
        }
        others = [f"127.0.0.1:{node.group_port}" for node in self.cluster.nodes if node is not self]
        return [
            *super().command_line(), "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}", "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2", "--wsrep-cluster-name=archstone", f"--wsrep-node-name=node-{self.number}",
            f"--wsrep-cluster-address=gcomm://{','.join(others)}", f"--wsrep-node-address=127.0.0.1:{self.group_port}",
            f"--wsrep-node-incoming-address=127.0.0.1:{self.port}", "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{self.snapshot_port}", f"--pid-file={self.directory}/pid",
            f"--wsrep-provider-options={';'.join(f'{name}={value}' for name, value in options.items())}", *more,
        ]  # fmt: skip

    def begin(self, *more):
        """Starts the server and returns at once."""
        self.hand_over()
        with open(self.directory / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(*more), stdout=log, stderr=log, start_new_session=True, **self.owner()
            )

    def wait(self, members):
        """Waits until the node has what the others have, in a cluster of so many."""
        deadline = time.monotonic() + JOIN_LIMIT_S
        while True:
            told = "nothing"
            try:
                told = self.status("wsrep_local_state_comment"), self.status("wsrep_cluster_size")
                if told == ("Synced", str(members)):
                    return
            except pymysql.Error as refused:
                told = refused
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DatabaseFailed(f"node {self.number} did not join: {told}\n{self.log()}")
            time.sleep(0.1)

    def status(self, name):
        url = {"host": "127.0.0.1", "port": self.port, "user": "keystone", "password": self.password}
        with pymysql.connect(**url, connect_timeout=5) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE %s", [name])
            row = cursor.fetchone()
        return row[1] if row else None

    def come_back(self):
        """Starts a node that was killed, as its service would: from where its tables are, not with a copy of everything."""
        found = subprocess.run(
            [*self.command_line("--wsrep-recover"), f"--log-error={self.directory}/recover.log"],
            capture_output=True, text=True, timeout=60, **self.owner(),
        )  # fmt: skip
        if found.returncode != 0:
            raise DatabaseFailed(f"node {self.number} cannot tell where it was:\n{found.stderr}")
        lines = (self.directory / "recover.log").read_text().splitlines()
        position = [line.split("Recovered position:")[1].strip() for line in lines if "Recovered position:" in line][-1]
        self.begin(f"--wsrep-start-position={position}")

    def end(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.crash()
        self.process = None


class Galera:
    """So many nodes with one set of tables; `with Galera() as cluster`."""

    def __init__(self, members=3):
        self.directory = Path(tempfile.mkdtemp(prefix="galera-"))
        self.directory.chmod(0o755)
        self.password = "of-the-cluster"
        self.nodes = []
        for number in range(members):
            self.nodes.append(GaleraNode(self, number))
        self.made = 0

    def start(self):
        if not PROVIDER.exists():
            raise DatabaseFailed(f"{PROVIDER} is missing: install Debian's galera-4 and rsync")
        first, *others = self.nodes
        first.hand_over()
        first.initialise()
        first.begin("--wsrep-new-cluster")
        first.wait(1)
        first.end()
        # The others begin with the first's tables instead of having them sent.
        for node in others:
            ours = shutil.ignore_patterns("galera.cache", "gvwstate.dat", "*.pid")
            shutil.copytree(first.directory / "data", node.directory / "data", ignore=ours)
            (node.directory / "init.sql").write_text("")
        (first.directory / "init.sql").write_text("")
        first.begin("--wsrep-new-cluster")
        first.wait(1)
        for members, node in enumerate(others, start=2):
            node.begin()
            node.wait(members)
        return self

    def fresh(self):
        """The URL of a new database at each node."""
        self.made += 1
        name = f"keystone_{self.made}"
        self.nodes[0].execute(f"CREATE DATABASE {name}")
        return [f"{node.base}/{name}" for node in self.nodes]

    def count(self, name):
        """The sum of a counter over all nodes."""
        return sum(int(node.status(name) or 0) for node in self.nodes if node.process is not None)

    def stop(self):
        for node in self.nodes:
            if node.process is not None:
                node.crash()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()
