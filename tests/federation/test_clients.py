"""`openstack` with the plugins for OpenID Connect that it comes with: it gets a token from the provider by itself, and
shows it to Archstone."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from federation.provider import Browser
from harness.cli import CommandFailed, OpenStack

pytestmark = pytest.mark.archstone_only

SCOPE = "openid profile groups"
SECRET = "of-the-command"


@pytest.fixture(scope="module")
def connector(provider, acme):
    """A connector that takes access tokens of the client `command` by introspection, and those of `robot` as JWT."""
    provider.add_client("introspector", client_secret=SECRET, grant_types=["client_credentials"])
    grants = ["password", "urn:ietf:params:oauth:grant-type:device_code"]
    for client in ("command", "shop"):
        provider.add_client(client, client_secret=SECRET, grant_types=grants, scope=SCOPE)
    provider.add_client("robot", client_secret=SECRET, grant_types=["client_credentials"], scope="api")
    config = {
        "issuer": provider.issuer,
        "client_id": "introspector",
        "client_secret": SECRET,
        "access_token_audiences": ["command", "urn:archstone"],
    }
    return acme.connect("oidc", config)


@pytest.fixture
def openstack(server, acme, provider, connector):
    """`openstack(auth_type="v3oidcpassword", username="ada", ...)("token", "issue")`."""

    def make(**credentials):
        base = {
            "identity_provider": connector["identity_provider_id"],
            "protocol": "openid",
            "client_id": "command",
            "client_secret": SECRET,
            "discovery_endpoint": provider.discovery,
            "openid_scope": SCOPE,
            "project_id": acme.project,
        }
        named = {f"OS_{name.upper()}": value for name, value in {**base, **credentials}.items()}
        return OpenStack(server, named)

    return make


def belongs(acme, name):
    """Puts somebody who has come once into the group of engineers."""
    users = acme.admin.get(f"/users?domain_id={acme.id}&name={name}").ok()["users"]
    for user in users:
        acme.admin("PUT", f"/projects/{acme.project}/users/{user['id']}/roles/{acme.admin.role('member')}").ok()


def unscoped(make, acme, **credentials):
    """The name of whoever comes without a scope, who then gets a role in the project."""
    token = make(**credentials, project_id="")("token", "issue")
    user = acme.admin.get(f"/users/{token['user_id']}").ok()["user"]
    belongs(acme, user["name"])
    return user["name"]


def test_by_password(openstack, acme):
    ada = {"auth_type": "v3oidcpassword", "username": "ada", "password": "lovelace"}
    assert unscoped(openstack, acme, **ada) == "ada"
    assert openstack(**ada)("token", "issue")["project_id"] == acme.project
    with pytest.raises(CommandFailed):
        openstack(**{**ada, "password": "wrong"})("token", "issue")


def test_the_token_of_another_client_is_refused(openstack):
    shop = openstack(auth_type="v3oidcpassword", username="ada", password="lovelace", client_id="shop", project_id="")
    with pytest.raises(CommandFailed, match="401"):
        shop("token", "issue")


def test_by_client_credentials(openstack, acme):
    robot = {"auth_type": "v3oidcclientcredentials", "client_id": "robot", "openid_scope": "api"}
    assert unscoped(openstack, acme, **robot) == "robot"
    assert openstack(**robot)("token", "issue")["project_id"] == acme.project


def test_by_an_access_token(openstack, acme, provider):
    grant = {"grant_type": "password", "username": "bob", "password": "builder", "scope": SCOPE}
    token = provider.tokens(("command", SECRET), **grant)["access_token"]
    bob = {"auth_type": "v3oidcaccesstoken", "access_token": token}
    assert unscoped(openstack, acme, **bob) == "bob"
    assert openstack(**bob)("token", "issue")["project_id"] == acme.project
    with pytest.raises(CommandFailed, match="401"):
        openstack(**{**bob, "access_token": token[:-1]})("token", "issue")


def test_by_a_device(openstack, acme):
    command = openstack(auth_type="v3oidcdeviceauthz", project_id="")
    environment = {name: value for name, value in command.environment.items() if value}
    program = Path(sys.prefix) / "bin" / "openstack"
    process = subprocess.Popen(
        [program, "token", "issue", "-f", "value", "-c", "user_id"],
        env={"PATH": "/usr/bin:/bin", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        told = ""
        while not (found := re.search(r"go to: (\S+)", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        Browser().log_in(found[1], "bob")
        out, err = process.communicate()
    finally:
        timer.cancel()
    assert process.returncode == 0, told + err
    assert acme.admin.get(f"/users/{out.strip()}").ok()["user"]["name"] == "bob"
