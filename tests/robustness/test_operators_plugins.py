"""Plugins for the operator: audited events that go to a collector, and decisions that a policy has a say in, by a
server of its own or inside the plugin."""

import http.server
import json
import threading
import time

import pytest

from harness.api import Api
from harness.plugins import plugin, wait_until
from harness.servers import Archstone

pytestmark = pytest.mark.archstone_only


class Listener:
    """An HTTP server that answers as it is told, and remembers what it was sent."""

    def __init__(self):
        self.sent = []
        self.status = 200
        self.answer = lambda body: {}
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = listener.status
                if status == 200:
                    listener.sent.append(({name.lower(): value for name, value in self.headers.items()}, body))
                text = json.dumps(listener.answer(body)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.stop()


@pytest.fixture
def serve(tmp_path):
    """Starts a server with one of these plugins, which may talk to a listener if there is one."""
    started = []

    def serve_one(name, option, config, listener=None):
        archstone = {"plugin_directory": "{dir}/plugins", option: name}
        server = Archstone(tmp_path / name, {"archstone": archstone}).prepare()
        (server.directory / "plugins").mkdir(exist_ok=True)
        settings = {"config": config}
        if listener:
            settings["grant"] = {"http": {"origins": [listener.url], "private_networks": ["127.0.0.0/8"]}}
        (server.directory / "plugins" / f"{name}.json").write_text(json.dumps(settings))
        server.archstone("plugin", "install", plugin(name))
        started.append(server.start())
        return server

    yield serve_one
    for server in started:
        server.stop()


def test_audited_events_reach_the_collector_in_order_and_wait_while_it_is_down(serve, listener):
    config = {"url": f"{listener.url}/events", "token": "the-collectors"}
    server = serve("webhook", "event_sinks", config, listener)
    admin = Api(server).as_admin()

    def told():
        return [event for _, batch in listener.sent for event in batch]

    def ids(action):
        return [event["target"]["id"] for event in told() if event["action"] == action]

    wait_until(lambda: any(event["action"] == "authenticate" for event in told()), "the login's event", limit_s=30)
    assert listener.sent[0][0]["authorization"] == "Bearer the-collectors"
    listener.status = 503
    made = [admin.post("/users", user={"name": f"user-{number}"}).ok()["user"]["id"] for number in range(5)]
    time.sleep(1)
    assert not ids("created.user")
    listener.status = 200
    wait_until(lambda: len(ids("created.user")) >= 5, "the delivery of what had waited", limit_s=30)
    assert ids("created.user") == made
    assert "the-admin-of-the-tests" not in json.dumps(listener.sent)


def test_an_authorizer_takes_away_and_never_gives(serve, listener):
    listener.answer = lambda body: {"result": True}
    config = {"url": f"{listener.url}/v1/data/keystone/allow", "actions": ["identity:create_"]}
    server = serve("opa", "authorizers", config, listener)
    admin = Api(server).as_admin()
    user = admin.post("/users", user={"name": "ada", "password": "secret", "domain_id": "default"}).ok()["user"]["id"]
    question = listener.sent[-1][1]["input"]
    assert question["action"] == "identity:create_user"
    assert "admin" in question["credentials"]["roles"]
    assert question["target"]["target.user.domain_id"] == "default"
    assert admin.token not in json.dumps(listener.sent)

    # Policy says no: nobody is asked.
    asked = len(listener.sent)
    ada = Api(server).as_user(user, "secret")
    assert ada.post("/users", user={"name": "eve"}).status == 403
    assert len(listener.sent) == asked

    # The policy server says no, to some.
    listener.answer = lambda body: {"result": not body["input"]["action"].endswith("_group")}
    assert admin.post("/groups", group={"name": "team"}).status == 403
    assert admin.post("/users", user={"name": "eve"}).status == 201
    assert admin.get("/groups").ok()["groups"] == []

    # What is no clear yes is a no, and what does not answer is no answer.
    listener.answer = lambda body: {"result": "true"}
    assert admin.post("/users", user={"name": "mallory"}).status == 403
    listener.status = 500
    assert admin.post("/users", user={"name": "mallory"}).status == 503
    assert admin.get("/users").ok()


FROZEN_DOMAINS = """
package keystone

# Users and groups of some domains are not to be deleted, but for those who may do so.
allow if not frozen

frozen if {
    startswith(input.action, "identity:delete_")
    some owner in ["target.user.domain_id", "target.group.domain_id"]
    input.target[owner] in data.frozen
    not "breaker-of-seals" in input.credentials.roles
}
"""


def test_a_policy_inside_an_authorizer_decides(serve):
    config = {"policy": FROZEN_DOMAINS, "data": {"frozen": ["default"]}}
    server = serve("rego", "authorizers", config)
    admin = Api(server).as_admin()
    acme = admin.post("/domains", domain={"name": "acme"}).ok()["domain"]["id"]

    def user_of(domain):
        return admin.post("/users", user={"name": "ada", "domain_id": domain}).ok()["user"]["id"]

    kept, gone = user_of("default"), user_of(acme)
    assert admin.delete(f"/users/{kept}").status == 403
    assert admin.delete(f"/users/{gone}").status == 204
    assert admin.get(f"/users/{kept}").status == 200
    assert admin.get(f"/users/{gone}").status == 404

    # Other settings serve without a restart; those that cannot be used never do.
    settings = server.directory / "plugins" / "rego.json"

    def change(policy):
        settings.write_text(json.dumps({"config": {**config, "policy": policy}}))

    def complaint():
        shown = json.loads(server.archstone("plugin", "show", "rego").stdout)["server"]
        return (shown["last_error"] or {}).get("message", "")

    for broken, why in [
        ("package keystone\n\nallow if {", "policy:3"),
        ("package keystone\n\nallowed := true", "data.keystone.allow"),
    ]:
        change(broken)
        wait_until(lambda: why in complaint(), f"an error that tells of {why}")
        assert "/policy" in complaint()
        assert admin.delete(f"/users/{kept}").status == 403

    # An error on the way is no answer.
    change('package keystone\n\nallow if to_number(object.get(input.target, "target.user.id", "1")) < 2')
    wait_until(lambda: admin.delete(f"/users/{kept}").status == 503, "an error")
    change("package keystone\n\nallow := true")
    wait_until(lambda: admin.delete(f"/users/{kept}").status == 204, "a yes")
