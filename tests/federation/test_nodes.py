"""Two nodes on one database: what one is told, both do; and plugins are swapped on both while people log in."""

import threading
import time

import pytest
import requests

from federation.conftest import Domain
from federation.test_workloads import RULES, Ci, configured
from harness.api import Api
from harness.plugins import rebuilt
from harness.servers import Archstone

SWAPS = 100
CLIENTS = 1
#: As many different artifacts, so that most swaps find theirs compiled.
VERSIONS = 4
#: What another node may take for a new version; a server that is built for debugging compiles slowly.
SOON_S = 5


class Nodes:
    """Two servers with the same configuration, keys and database."""

    def __init__(self, directory):
        self.first = Archstone(directory, {}).prepare().start()
        self.second = Archstone(directory, {})
        self.second.config = self.first.config
        self.second.start()
        self.both = [self.first, self.second]
        self.admin = Api(self.first).as_admin()

    def stop(self):
        for node in self.both:
            node.stop()

    def install(self, name, artifact, settings=None):
        if settings is not None:
            self.admin("PUT", f"/v4/plugins/{name}/settings", json={"settings": settings}).ok()
        wasm = {"Content-Type": "application/wasm"}
        return self.admin("PUT", f"/v4/plugins/{name}/artifact", headers=wasm, data=artifact).ok()["plugin"]

    def serving(self, node, name):
        """The digest of what a node serves."""
        listed = Api(node, self.admin.token).get("/v4/plugins").ok()["plugins"]
        return next((one["digest"] for one in listed if one["name"] == name), None)

    def wait_for(self, name, digest, limit_s=10):
        deadline = time.monotonic() + limit_s
        while any(self.serving(node, name) != digest for node in self.both):
            assert time.monotonic() < deadline, f"not every node serves {digest} after {limit_s} s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    nodes = Nodes(tmp_path_factory.mktemp("nodes") / "shared")
    yield nodes
    nodes.stop()


@pytest.fixture(scope="module")
def ci():
    return Ci()


@pytest.fixture(scope="module")
def acme(nodes):
    return Domain(nodes.first, "acme")


@pytest.fixture(scope="module")
def connector(nodes, acme, ci):
    digest = nodes.install("jwt", artifact(0), {"grant": {"http": {"origins": []}}})["digest"]
    nodes.wait_for("jwt", digest)
    return acme.connect("jwt", configured(ci, replay="allow"), rules=RULES)


def artifact(version):
    return rebuilt("jwt", version)


def log_in(node, connector, token, scope=None):
    path = f"/v4/connectors/{connector['id']}/token"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(node.base + path, headers=headers, json={"scope": scope} if scope else {})


def test_what_one_node_is_told_both_do(nodes, acme, ci, connector):
    for node in nodes.both:
        assert log_in(node, connector, ci.token(), acme.scope).status_code == 201
    config = configured(ci, replay="allow", audiences=["another"])
    acme.manager("PATCH", f"/v4/connectors/{connector['id']}", json={"connector": {"config": config}}).ok()
    for node in nodes.both:
        assert log_in(node, connector, ci.token()).status_code == 401
        assert log_in(node, connector, ci.token(aud="another")).status_code == 201
    config = configured(ci, replay="allow")
    acme.manager("PATCH", f"/v4/connectors/{connector['id']}", json={"connector": {"config": config}}).ok()
    assert log_in(nodes.second, connector, ci.token()).status_code == 201


def test_the_node_that_was_told_serves_when_it_answers_and_the_other_soon(nodes, acme, ci, connector):
    serving = [nodes.serving(nodes.first, "jwt")]
    for version in range(100, 105):
        digest = nodes.install("jwt", artifact(version))["digest"]
        acknowledged = time.monotonic()
        assert nodes.serving(nodes.first, "jwt") == digest
        while nodes.serving(nodes.second, "jwt") != digest:
            assert time.monotonic() < acknowledged + SOON_S
            time.sleep(0.02)
        serving.append(digest)
    nodes.admin.delete("/v4/plugins/jwt").ok()
    assert nodes.serving(nodes.first, "jwt") is None
    assert acme.try_to_connect("jwt", configured(ci), rules=RULES).status == 400
    nodes.admin.post("/v4/plugins/jwt/rollback", digest=serving[-2]).ok()
    assert nodes.serving(nodes.first, "jwt") == serving[-2]
    acme.connect("jwt", configured(ci), rules=RULES)
    nodes.wait_for("jwt", serving[-2])


def test_an_artifact_that_cannot_serve_is_installed_nowhere(nodes, connector):
    before = [nodes.serving(node, "jwt") for node in nodes.both]
    wasm = {"Content-Type": "application/wasm"}
    broken = nodes.admin("PUT", "/v4/plugins/jwt/artifact", headers=wasm, data=artifact(0)[:-40])
    assert broken.status == 400 and "cannot serve" in broken.json["error"]["message"]
    assert [nodes.serving(node, "jwt") for node in nodes.both] == before


def test_a_member_installs_nothing(nodes, acme):
    wasm = {"Content-Type": "application/wasm"}
    assert acme.manager("PUT", "/v4/plugins/jwt/artifact", headers=wasm, data=artifact(1)).status == 403
    assert acme.manager("PUT", "/v4/plugins/jwt/settings", json={"settings": {}}).status == 403
    assert acme.manager.get("/v4/plugins").status == 403
    assert Api(nodes.first).get("/v4/plugins").status == 401


def test_a_plugin_goes_out_of_service_and_comes_back(nodes, acme, ci, connector):
    digest = nodes.serving(nodes.first, "jwt")
    nodes.admin.delete("/v4/plugins/jwt").ok()
    nodes.wait_for("jwt", None)
    assert log_in(nodes.second, connector, ci.token()).status_code == 503
    nodes.admin.post("/v4/plugins/jwt/rollback", digest=digest[:8]).ok()
    nodes.wait_for("jwt", digest)
    assert log_in(nodes.second, connector, ci.token()).status_code == 201


def test_plugins_are_swapped_on_both_nodes_without_a_failed_request(nodes, acme, ci, connector):
    digests = [nodes.install("jwt", artifact(version))["digest"] for version in range(VERSIONS)]
    token = ci.token()
    issued = log_in(nodes.first, connector, token, acme.scope)
    answers, done = [], threading.Event()

    def work(node):
        session = requests.Session()
        headers = {"X-Auth-Token": nodes.admin.token, "X-Subject-Token": issued.headers["X-Subject-Token"]}
        while not done.is_set():
            answers.append(log_in(node, connector, token, acme.scope))
            answers.append(session.get(f"{node.url}/auth/tokens", headers=headers))

    clients = [threading.Thread(target=work, args=[node]) for node in nodes.both * CLIENTS]
    for client in clients:
        client.start()
    try:
        for swap in range(SWAPS):
            nodes.admin.post("/v4/plugins/jwt/rollback", digest=digests[swap % VERSIONS][:16]).ok()
        nodes.wait_for("jwt", digests[(SWAPS - 1) % VERSIONS], limit_s=30)
    finally:
        done.set()
        for client in clients:
            client.join()
    failed = [answer.text for answer in answers if answer.status_code not in (200, 201)]
    assert not failed
    assert len(answers) > SWAPS


def test_all_that_came_by_an_artifact_ends_at_once_on_both_nodes(nodes, acme, ci, connector):
    def tokens(count=1):
        return [log_in(nodes.first, connector, ci.token(), acme.scope).headers["X-Subject-Token"] for _ in range(count)]

    def valid(token):
        return {Api(node, nodes.admin.token).validate(token).status == 200 for node in nodes.both}

    def is_over(token):
        """At once on the node that was told, and within a second on the other."""
        assert Api(nodes.first, nodes.admin.token).validate(token).status == 404
        told = time.monotonic()
        while valid(token) != {False}:
            assert time.monotonic() - told < 1
            time.sleep(0.05)
        return True

    (by_this,) = tokens()
    of_manager = acme.manager.token
    assert valid(by_this) == {True}
    digest = nodes.serving(nodes.first, "jwt")
    unknown = nodes.admin.post("/v4/plugins/jwt/revoke", digest="0" * 64)
    assert unknown.status == 404 and valid(by_this) == {True}
    time.sleep(1.1)  # tokens tell the time by the second
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    nodes.admin.post("/v4/plugins/jwt/revoke", digest=digest, since=later).ok()
    assert valid(by_this) == {True}
    nodes.admin.post("/v4/plugins/jwt/revoke", digest=digest).ok()
    assert is_over(by_this)
    assert valid(of_manager) == {True}
    time.sleep(1.1)
    (new,) = tokens()
    assert valid(new) == {True}
    path = f"/v4/connectors/{connector['id']}"
    acme.manager("PATCH", path, json={"connector": {"enabled": False}}).ok()
    assert is_over(new)
    assert log_in(nodes.second, connector, ci.token()).status_code == 403
    acme.manager("PATCH", path, json={"connector": {"enabled": True}}).ok()
    assert valid(new) == {False}
    time.sleep(1.1)
    assert valid(tokens()[0]) == {True}
