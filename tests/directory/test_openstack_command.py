"""The `openstack` command, used by somebody whom LDAP knows."""

import pytest

from directory.conftest import DOMAIN
from harness.api import Api, lead_catalog_to
from harness.cli import OpenStack

NAME = "User 00007"


@pytest.fixture(scope="module")
def openstack(server):
    """The command as the administrator."""
    lead_catalog_to(server)
    return OpenStack(server)


def test_somebody_of_the_directory_logs_in_and_sees_themselves(server, openstack):
    openstack("project", "create", "theirs", "--domain", "ldap")
    openstack("role", "add", "member", "--user", NAME, "--user-domain", "ldap", "--project", "theirs", "--project-domain", "ldap")
    own = openstack.as_user(
        username=NAME, password="pw-u00007", user_domain_name="ldap", project_name="theirs", project_domain_name="ldap"
    )
    token = own("token", "issue")
    shown = openstack("user", "show", NAME, "--domain", "ldap")
    assert (token["user_id"], shown["domain_id"], shown["email"]) == (shown["id"], DOMAIN, "u00007@example.org")
    assert Api(server).as_admin().validate(token["id"]).ok()["token"]["user"]["name"] == NAME


def test_an_administrator_sees_the_directory(openstack):
    assert {one["Name"] for one in openstack("group", "list", "--domain", "ldap")} == {"many", "outer", "outermost", "staff"}
    members = openstack("user", "list", "--group", "staff", "--domain", DOMAIN)
    assert len(members) == 10
    assert "is in group" in openstack.run(
        ["group", "contains", "user", "--group-domain", "ldap", "--user-domain", "ldap", "staff", NAME]
    )[1] or openstack.run(["group", "contains", "user", "--group-domain", "ldap", "--user-domain", "ldap", "staff", NAME])[0] == 0
