"""Options and fixtures of every test: which server to test, and a started one."""

import os
from pathlib import Path

import pytest

from harness.api import Api
from harness.databases import SERVERS
from harness.servers import TARGETS, Archstone, newest_binary


def pytest_addoption(parser):
    group = parser.getgroup("archstone")
    group.addoption(
        "--target",
        choices=sorted(TARGETS),
        default="archstone",
        help="the server to test: keystone runs the same tests on Python Keystone 30, to prove the tests",
    )
    group.addoption(
        "--database",
        choices=["sqlite", *SERVERS],
        default="sqlite",
        help="what the server under test keeps its data in; a server is started for the run",
    )
    group.addoption("--fresh", action="store_true", help="ask Python Keystone again instead of using kept answers")
    group.addoption("--archstone", metavar="PATH", help="the binary to test (default: the newest under target/)")


def pytest_configure(config):
    binary = config.getoption("--archstone") or newest_binary()
    if config.getoption("--target") == "archstone" and binary is None:
        raise pytest.UsageError("no archstone binary: run `cargo build`, or name one with --archstone PATH")
    if binary is not None:
        Archstone.binary = os.environ["ARCHSTONE"] = str(Path(binary).absolute())
    if (database := config.getoption("--database")) != "sqlite":
        TARGETS[config.getoption("--target")].databases = SERVERS[database].for_tests()


def pytest_collection_modifyitems(config, items):
    if config.getoption("--target") == "archstone":
        return
    for item in items:
        if item.get_closest_marker("archstone_only"):
            item.add_marker(pytest.mark.skip(reason="Python Keystone does not promise this"))


@pytest.fixture(scope="session")
def target_class(request):
    """The class of the server under test: Archstone, or PythonKeystone with --target keystone."""
    return TARGETS[request.config.getoption("--target")]


@pytest.fixture
def start(target_class, tmp_path):
    """Starts servers of its own for one test: `start({"token": {"expiration": 2}})`."""
    started = []

    def start_one(config=None):
        server = target_class(tmp_path / f"server-{len(started)}", config)
        started.append(server)
        return server.prepare().start()

    yield start_one
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(target_class, tmp_path_factory):
    """A fresh server that the tests of one module share."""
    with target_class(tmp_path_factory.mktemp("server") / "main") as started:
        yield started


@pytest.fixture(scope="module")
def admin(server):
    """A client with the administrator's project-scoped token."""
    return Api(server).as_admin()
