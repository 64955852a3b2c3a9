"""Database servers for tests that need one of each kind, whatever `--database` says."""

import functools

import pytest

from harness.databases import SERVERS


@functools.cache
def database_server(name):
    return SERVERS[name].for_tests()


@pytest.fixture
def new_database(tmp_path):
    """Makes empty databases and gives their URLs: `new_database("mariadb")`."""
    made = []

    def make(name):
        made.append(name)
        if name == "sqlite":
            return f"sqlite:///{tmp_path}/{len(made)}.db"
        return database_server(name).fresh()

    return make
