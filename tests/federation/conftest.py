"""A server with the two bundled connectors' plugins, an OpenID provider, and domains whose managers connect them."""

import json

import pytest

from federation.provider import Provider
from harness.api import Api, lead_catalog_to
from harness.plugins import plugin
from harness.servers import Archstone

DASHBOARD = "https://dashboard.example/auth/websso/"
CALLBACK = "/v4/federation/callback"
PASSWORD = "the-managers-of-the-tests"

#: Whoever comes lives in the connector's domain, with the groups that the provider says they have.
RULES = [
    {
        "local": [{"user": {"name": "{0}"}}],
        "remote": [{"type": "sub"}],
    },
    {
        "local": [{"groups": "{0}", "domain": {"name": "DOMAIN"}}],
        "remote": [{"type": "groups"}],
    },
]


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    """An OpenID provider; tests make clients of their own."""
    provider = Provider(tmp_path_factory.mktemp("provider"))
    yield provider.start()
    provider.stop()


@pytest.fixture(scope="session")
def server(provider, tmp_path_factory):
    """A server whose operator lets connectors reach the provider, and nothing else."""
    config = {
        "archstone": {"plugin_directory": "{dir}/plugins"},
        "federation": {"trusted_dashboard": DASHBOARD},
    }
    server = Archstone(tmp_path_factory.mktemp("server") / "main", config).prepare()
    plugins = server.directory / "plugins"
    plugins.mkdir(exist_ok=True)
    grant = {"http": {"origins": [provider.issuer], "private_networks": ["127.0.0.0/8"]}}
    # The CI of the tests is nobody's server: connectors may name it, and are given its keys.
    for name, servers in (("oidc", []), ("jwt", ["https://ci.example"])):
        settings = {"grant": grant, "connectors": {"servers": servers}}
        (plugins / f"{name}.json").write_text(json.dumps(settings))
        server.archstone("plugin", "install", plugin(name))
    with_catalog = server.start()
    lead_catalog_to(with_catalog)
    yield server
    server.stop()


class Domain:
    """A domain with a manager, a group `engineers` and a project that they are members of."""

    def __init__(self, server, name):
        admin = Api(server).as_admin()
        self.server = server
        self.name = name
        self.id = admin.post("/domains", domain={"name": name}).ok()["domain"]["id"]
        user = {"name": "manager", "domain_id": self.id, "password": PASSWORD}
        manager = admin.post("/users", user=user).ok()["user"]["id"]
        role = admin.role("manager")
        admin("PUT", f"/domains/{self.id}/users/{manager}/roles/{role}").ok()
        group = {"name": "engineers", "domain_id": self.id}
        self.group = admin.post("/groups", group=group).ok()["group"]["id"]
        project = {"name": "workshop", "domain_id": self.id}
        self.project = admin.post("/projects", project=project).ok()["project"]["id"]
        admin("PUT", f"/projects/{self.project}/groups/{self.group}/roles/{admin.role('member')}").ok()
        self.admin = admin
        scope = {"domain": {"id": self.id}}
        self.manager = Api(server).as_user(manager, PASSWORD, scope)

    @property
    def scope(self):
        return {"project": {"id": self.project}}

    def try_to_connect(self, plugin, config, rules=RULES, **more):
        """The answer to the manager who makes a connector."""
        rules = json.loads(json.dumps(rules).replace("DOMAIN", self.name))
        taken = {connector["name"] for connector in self.manager.get("/v4/connectors").ok()["connectors"]}
        connector = {"name": f"connector-{len(taken)}", "plugin": plugin, "config": config, "mapping": {"rules": rules}}
        return self.manager.post("/v4/connectors", connector={**connector, **more})

    def connect(self, plugin, config, **more):
        """A connector of the domain's."""
        return self.try_to_connect(plugin, config, **more).ok()["connector"]


@pytest.fixture(scope="session")
def acme(server):
    return Domain(server, "acme")


@pytest.fixture(scope="session")
def globex(server):
    return Domain(server, "globex")


@pytest.fixture
def anybody(server):
    """A client with no token."""
    return Api(server)
