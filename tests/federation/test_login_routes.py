"""Logins that name one of Keystone's methods and are led to a connector, by the operator's rules."""

import json
import time

import pytest

from federation.conftest import Domain
from federation.test_workloads import RULES, Ci, configured
from harness.api import Api
from harness.plugins import plugin
from harness.servers import Archstone


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("routes") / "main"
    config = {"archstone": {"plugin_directory": "{dir}/plugins", "login_routes": "{dir}/routes.yaml"}}
    server = Archstone(directory, config).prepare()
    (directory / "plugins").mkdir(exist_ok=True)
    (directory / "plugins" / "jwt.json").write_text(json.dumps({"grant": {"http": {"origins": []}}}))
    (directory / "routes.yaml").write_text("")
    server.archstone("plugin", "install", plugin("jwt"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ci():
    return Ci()


@pytest.fixture(scope="module")
def acme(server):
    return Domain(server, "acme")


@pytest.fixture(scope="module")
def connector(server, acme, ci):
    connector = acme.connect("jwt", configured(ci, replay="allow"), rules=RULES)
    to = {"connector": connector["id"], "token": "secret"}
    routes = [{"from": "application_credential", "when": {"id": "ci:.*"}, "to": to}]
    (server.directory / "routes.yaml").write_text(json.dumps(routes))
    return connector


def by_application_credential(server, id, secret, scope=None):
    identity = {"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}}
    return Api(server).authenticate({"identity": identity, **({"scope": scope} if scope else {})})


def test_a_job_logs_in_as_if_with_an_application_credential(server, acme, ci, connector):
    deadline = time.monotonic() + 20
    while (answer := by_application_credential(server, "ci:acme", ci.token(), acme.scope)).status != 201:
        assert time.monotonic() < deadline, answer.told()
        time.sleep(0.2)
    token = answer.json["token"]
    assert token["project"]["id"] == acme.project and token["methods"] == ["mapped"]
    assert token["user"]["OS-FEDERATION"]["identity_provider"]["id"] == connector["id"]


def test_the_connector_verifies_what_it_is_led(server, ci, connector):
    assert by_application_credential(server, "ci:acme", ci.token(repository="evil/engine")).status == 401
    assert by_application_credential(server, "ci:acme", "no token").status in (400, 401)


def test_real_application_credentials_work_as_ever(server, connector):
    admin = Api(server).as_admin()
    user = admin.validate(admin.token).ok()["token"]["user"]["id"]
    given = {"name": "robot"}
    made = admin.post(f"/users/{user}/application_credentials", application_credential=given).ok()
    made = made["application_credential"]
    assert by_application_credential(server, made["id"], made["secret"]).status == 201
    assert by_application_credential(server, made["id"], "wrong").status == 401


def test_a_route_to_a_connector_does_not_stand_beside_other_methods(server, ci, connector):
    identity = {
        "methods": ["password", "application_credential"],
        "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "wrong"}},
        "application_credential": {"id": "ci:acme", "secret": ci.token()},
    }
    assert Api(server).authenticate({"identity": identity}).status == 401


def test_routes_that_cannot_be_read_change_nothing(server, ci, connector):
    file = server.directory / "routes.yaml"
    before = file.read_text()
    file.write_text("- {from: password, when: {}, to: {connector: a, token: b}}")
    deadline = time.monotonic() + 20
    while "cannot be used; the old ones stay" not in server.log(100_000):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert by_application_credential(server, "ci:acme", ci.token()).status == 201
    file.write_text(before)
