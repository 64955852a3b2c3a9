"""The `openstack` command: run in this process, which is much quicker than starting one for each command."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from openstackclient import shell

from harness.servers import ADMIN_PASSWORD

ADMIN = {
    "OS_USERNAME": "admin",
    "OS_PASSWORD": ADMIN_PASSWORD,
    "OS_PROJECT_NAME": "admin",
    "OS_USER_DOMAIN_ID": "default",
    "OS_PROJECT_DOMAIN_ID": "default",
}


class CommandFailed(Exception):
    """A command that did not succeed; the message is what it printed."""


class OpenStack:
    """`openstack("user", "list")` gives what the command tells as JSON, or as text where it tells no JSON."""

    def __init__(self, server, credentials=None):
        self.server = server
        self.environment = {
            "OS_AUTH_URL": server.url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": "RegionOne",
            **(credentials or ADMIN),
        }

    def as_user(self, **credentials):
        """The same server with other OS_ variables: `as_user(username="alice", password="...")`."""
        return OpenStack(self.server, {f"OS_{name.upper()}": value for name, value in credentials.items()})

    def __call__(self, *words):
        words = [str(word) for word in words]
        if tells_something(words):
            words += ["-f", "json"]
        status, out, err = self.run(words)
        if status:
            raise CommandFailed(f"openstack {' '.join(words)} exited {status}:\n{out}{err}")
        try:
            return json.loads(out)
        except ValueError:
            return out

    def run(self, words):
        """(exit status, standard output, standard error) of one command."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        os.environ.update(self.environment)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                command = shell.OpenStackShell()
                command.stdout, command.stderr = out, err
                status = command.run(words)
        except SystemExit as end:
            status = end.code
        finally:
            os.environ.clear()
            os.environ.update(before)
        return status, out.getvalue(), err.getvalue()

    def process(self, *words):
        """Runs the command as a process of its own, as a user does."""
        program = Path(sys.prefix) / "bin" / "openstack"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return subprocess.run(
            [program, *words], env={**environment, **self.environment}, capture_output=True, text=True, timeout=120
        )


def tells_something(words):
    """Whether a command prints an object or a list, which can be had as JSON."""
    silent = {"contains", "delete", "set", "unset", "add", "remove", "revoke"}
    return not silent & set(words[1:4])
