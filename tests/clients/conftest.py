"""A server whose catalog leads clients back to it, and the clients."""

import openstack as openstacksdk
import pytest

from harness.api import lead_catalog_to
from harness.cli import OpenStack
from harness.servers import ADMIN_PASSWORD


@pytest.fixture(scope="module", autouse=True)
def catalog_leads_here(server):
    """Clients find the server in its catalog."""
    lead_catalog_to(server)


@pytest.fixture(scope="module")
def openstack(server):
    """The `openstack` command as the administrator."""
    return OpenStack(server)


@pytest.fixture
def connect(server):
    """Connections of openstacksdk: `connect(username="alice", password="...", system_scope="all")`."""
    opened = []

    def connect_as(auth_type="password", **auth):
        connection = openstacksdk.connect(
            auth_type=auth_type, auth={"auth_url": server.url, **auth}, region_name="RegionOne", load_yaml_config=False
        )
        opened.append(connection)
        return connection

    yield connect_as
    for connection in opened:
        connection.close()


@pytest.fixture
def cloud(connect):
    """A connection as the administrator."""
    return connect(
        username="admin",
        password=ADMIN_PASSWORD,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
    )
