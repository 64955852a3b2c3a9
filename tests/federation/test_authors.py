"""What the author of a plugin does, with the command line alone: from a new project to a login, for each world."""

import base64
import hashlib
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from federation.conftest import DASHBOARD, Domain
from federation.provider import Forms
from harness.api import Api
from harness.plugins import plugin, wait_until
from harness.servers import Archstone

#: What the project's lock file has is on this machine: the guests were built from it.
OFFLINE = {"CARGO_NET_OFFLINE": "true"}
BUILD_LIMIT_S = 900
RULES = [
    {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "CLAIM"}]},
    {"local": [{"group": {"name": "engineers", "domain": {"name": "DOMAIN"}}}], "remote": [{"type": "CLAIM"}]},
]


def rules(claim):
    return json.loads(json.dumps(RULES).replace("CLAIM", claim))


class Author:
    """Somebody in a directory of their own, without a server or its configuration."""

    def __init__(self, directory, compiled=None):
        self.directory = directory
        #: Where projects share what cargo compiles, so that it compiles each crate once for all.
        self.compiled = compiled

    def plugin(self, *arguments, check=True, stdin=None):
        done = subprocess.run(
            [str(Archstone.binary), "plugin", *map(str, arguments)],
            cwd=self.directory,
            env={**{k: v for k, v in os.environ.items() if not k.startswith("OS_")}, **OFFLINE},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def made(self, name, world):
        """A new project's directory and its component."""
        self.plugin("new", name, "--world", world)
        project = self.directory / name
        if self.compiled:
            (project / "target").mkdir()
            (project / "target/guests").symlink_to(self.compiled)
        lock = (project / "Cargo.lock").read_text()
        built = self.plugin("build", name).stdout.split()
        assert built == [str(project / "target/plugins" / f"{name}.wasm")]
        assert (project / "Cargo.lock").read_text() == lock, "cargo had to complete the lock file"
        return project, built[0]

    def told(self, *arguments, **options):
        return json.loads(self.plugin(*arguments, **options).stdout)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def author(tmp_path, compiled):
    directory = tmp_path / "author"
    directory.mkdir()
    return Author(directory, compiled)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A server without a plugin directory, whose method `pin` is to come by the database, signed."""
    directory = tmp_path_factory.mktemp("node")
    keys = directory / "keys"
    Author(directory).plugin("keygen", "--out", keys)
    config = {
        "auth": {"methods": "password,token,mapped,application_credential,pin"},
        "archstone": {"plugin_signers": str(keys / "plugin-signing.pub")},
        "federation": {"trusted_dashboard": DASHBOARD},
    }
    with Archstone(directory / "main", config) as started:
        started.signing_key = keys / "plugin-signing.key"
        yield started


def install(author, node, component, settings):
    """Signs and installs a component on all nodes, and waits until this one serves it."""
    unsigned = node.archstone("plugin", "install", component, "--everywhere", "--settings", settings, check=False)
    assert unsigned.returncode == 1 and "is not signed" in unsigned.stderr
    author.plugin("sign", component, "--key", node.signing_key)
    told = json.loads(node.archstone("plugin", "install", component, "--everywhere", "--settings", settings).stdout)
    assert told["from"] == "database"
    digest = told["installed"]["current"]
    admin = Api(node).as_admin()
    for _ in range(100):
        if any(one["digest"] == digest for one in admin.get("/v4/plugins").ok()["plugins"]):
            return digest
        threading.Event().wait(0.1)
    raise AssertionError(f"the node does not serve {digest}")


def test_a_method_from_a_new_project_to_a_login(author, node):
    project, component = author.made("pin", "auth-method")
    settings = project / "settings.json"

    unsettled = author.plugin("check", component, check=False)
    told = json.loads(unsettled.stdout)
    assert unsettled.returncode == 1 and '"grant": {"credentials"' in unsettled.stderr
    assert (told["kind"], told["proves"], told["would_serve"]) == ("auth-method", "account", False)
    assert [grant["capability"] for grant in told["to_grant"]] == ["credentials"]
    assert author.told("check", component, "--settings", settings)["would_serve"]

    run = ["run", component, "--settings", settings, "--payload", f"@{project / 'payload.json'}"]
    right = author.plugin(*run, "--credential", "pin=2468")
    assert json.loads(right.stdout) == {"outcome": "verified"}
    assert 'credentials of type "pin": 1' in right.stderr and "signatures equal: true" in right.stderr
    wrong = author.plugin(*run, "--credential", "pin=8642", check=False)
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["reason"] == "rejected"
    assert "8642" not in wrong.stderr and "2468" not in right.stderr + wrong.stderr
    assert json.loads(author.plugin(*run, check=False).stdout)["reason"] == "not-enrolled"

    digest = install(author, node, component, settings)
    admin = Api(node).as_admin()
    ada = admin.post("/users", user={"name": "ada"}).ok()["user"]["id"]
    admin.post("/credentials", credential={"type": "pin", "blob": "2468", "user_id": ada}).ok()

    def log_in(pin):
        return Api(node).authenticate({"identity": {"methods": ["pin"], "pin": {"user": {"id": ada}, "pin": pin}}})

    assert log_in("2468").status == 201
    assert [log_in("1111").status for _ in range(5)] == [401] * 5
    assert log_in("2468").status == 401, "five wrong PINs pause the method"

    listed = json.loads(node.archstone("plugin", "list").stdout)
    assert [(one["from"], one["installed"]["current"]) for one in listed] == [("database", digest)]
    removed = json.loads(node.archstone("plugin", "remove", "pin", "--everywhere").stdout)
    assert removed["installed"]["current"] is None
    back = json.loads(node.archstone("plugin", "rollback", "pin", "--everywhere").stdout)
    assert back["installed"]["current"] == digest
    shown = json.loads(node.archstone("plugin", "show", "pin").stdout)
    assert shown["installed"]["versions"][0]["digest"] == digest


def test_a_workloads_connector_from_a_new_project_to_a_login(author, node):
    project, component = author.made("jobs", "token-connector")
    settings, connector = project / "settings.json", project / "connector.json"
    token = (project / "token.txt").read_text().strip()
    with_connector = [component, "--settings", settings, "--connector", connector]
    assert author.told("check", *with_connector)["would_serve"]
    told = author.told("run", *with_connector, "--token", f"@{project / 'token.txt'}")
    assert (told["outcome"], told["subject"]) == ("asserted", "job:backup")
    changed = token[:-6] + "AAAAAA"
    forged = author.plugin("run", *with_connector, "--token", changed, check=False)
    assert forged.returncode == 1 and json.loads(forged.stdout)["reason"] == "rejected"
    assert "verify-jws: " in forged.stderr and changed not in forged.stderr

    install(author, node, component, settings)
    domain = Domain(node, "workloads")
    made = domain.connect("jobs", json.loads(connector.read_text()), rules=rules("sub"))

    def exchange(token):
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/v4/connectors/{made['id']}/token"
        return requests.post(node.base + path, headers=headers, json={"scope": domain.scope})

    assert exchange(token).status_code == 201
    assert exchange(changed).status_code == 401


class Service:
    """An OAuth 2.0 service that tells who somebody is, as far as a connector needs it."""

    CODE, ACCESS, SECRET = "the-code", "the-access-token", "the-client-secret"

    def __init__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                verifier = hashlib.sha256(form["code_verifier"][0].encode()).digest()
                challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
                good = form["code"] == [service.CODE] and form["client_secret"] == [service.SECRET]
                if not good or service.challenge not in (None, challenge):
                    return self.answer(400, {"error": "invalid_grant"})
                self.answer(200, {"access_token": service.ACCESS, "token_type": "bearer"})

            def do_GET(self):
                if self.headers["Authorization"] != f"Bearer {service.ACCESS}":
                    return self.answer(401, {})
                self.answer(200, {"id": 4711, "login": "ada"})

            def log_message(self, *_):
                pass

        self.challenge = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def connector(self):
        return {
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "user_endpoint": f"{self.url}/user",
            "client_id": "archstone",
            "client_secret": self.SECRET,
        }


def test_a_services_connector_from_a_new_project_to_a_login(author, node):
    project, component = author.made("social", "redirect-connector")
    service = Service()
    settings, connector = project / "settings.json", project / "mine.json"
    connector.write_text(json.dumps(service.connector()))

    as_made = ["run", component, "--settings", settings, "--connector", project / "connector.json", "--begin"]
    begun = author.plugin(*as_made)
    assert json.loads(begun.stdout)["location"].startswith("https://login.example/authorize?response_type=code&")
    assert "--answer" in begun.stderr

    grant = {"http": {"origins": [service.url], "private_networks": ["127.0.0.0/8"]}}
    settings.write_text(json.dumps({"grant": grant}))
    run = ["run", component, "--settings", settings, "--connector", connector, "--begin"]
    came = author.plugin(*run, "--answer", "-", stdin=f"http://x/callback?code={service.CODE}&state=y\n")
    told = json.loads(came.stdout)
    assert (told["outcome"], told["subject"], told["claims"]["login"]) == ("asserted", "4711", "ada")
    assert f"http POST {service.url}/token: 200" in came.stderr and 'secrets get "client_secret": there' in came.stderr
    assert not any(secret in came.stderr for secret in (service.SECRET, service.ACCESS, service.CODE))

    install(author, node, component, settings)
    domain = Domain(node, "people")
    made = domain.connect("social", service.connector(), rules=rules("login"))
    path = f"/v3/auth/OS-FEDERATION/identity_providers/{made['identity_provider_id']}/protocols/openid/websso"
    browser = requests.Session()
    sent = browser.get(f"{node.base}{path}?origin={DASHBOARD}", allow_redirects=False)
    assert sent.status_code == 302, sent.text
    there = urlsplit(sent.headers["Location"])
    asked = {name: values[0] for name, values in parse_qs(there.query).items()}
    service.challenge = asked["code_challenge"]
    back = {"code": service.CODE, "state": asked["state"]}
    page = browser.get(asked["redirect_uri"], params=back, allow_redirects=False)
    assert page.status_code == 200, page.text
    (action, fields) = Forms(page.text).all[0]
    assert action == DASHBOARD
    token = fields["token"]
    who = domain.admin.validate(token).ok()["token"]["user"]
    assert who["name"] == "ada"


class People(BaseHTTPRequestHandler):
    """A collector of events, and the API of the directory that the template is for."""

    USERS = [{"id": "1", "name": "Ada", "email": "ada@people.example"}, {"id": "2", "name": "Bob", "enabled": False}]
    GROUPS = [{"id": "10", "name": "engineers", "members": ["1"]}]

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self.answer(200, {"users": self.USERS, "groups": self.GROUPS})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/login":
            return self.answer(200 if json.loads(body) == {"name": "Ada", "password": "lovelace"} else 401, {})
        self.server.told += [json.loads(line) for line in body.splitlines()]
        self.answer(200, {})

    def log_message(self, *_):
        pass


@pytest.fixture
def people():
    server = ThreadingHTTPServer(("127.0.0.1", 0), People)
    server.told = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_plugins_of_the_other_worlds_from_new_projects_to_a_server(author, people, tmp_path):
    worlds = {
        "keys": "enrollable-method",
        "ldap": "directory-connector",
        "collector": "event-sink",
        "guard": "authorizer",
    }
    made = {name: author.made(name, world) for name, world in worlds.items()}
    for name, (project, component) in made.items():
        check = ["check", component, "--settings", project / "settings.json"]
        if (project / "connector.json").exists():
            check += ["--connector", project / "connector.json"]
        told = author.told(*check)
        assert (told["kind"], told["would_serve"]) == (worlds[name], True)

    config = {
        "auth": {"methods": "password,token,keys"},
        "identity": {"domain_specific_drivers_enabled": "true", "domain_configurations_from_database": "true"},
        "archstone": {
            "plugin_directory": "{dir}/plugins",
            "event_sinks": "collector",
            "authorizers": "guard",
        },
    }
    grant = {"http": {"origins": [people.url], "private_networks": ["127.0.0.0/8"]}}
    settings = {
        "keys": {},
        "ldap": {"grant": grant},
        "collector": {"config": {"url": f"{people.url}/events"}, "grant": grant},
        "guard": {"config": {"actions": ["identity:delete_project"], "role": "demolisher"}},
    }
    server = Archstone(tmp_path / "server", config).prepare()
    (server.directory / "plugins").mkdir(exist_ok=True)
    for name, (_, component) in made.items():
        (server.directory / "plugins" / f"{name}.json").write_text(json.dumps(settings[name]))
        server.archstone("plugin", "install", component)
    with server as started:
        admin = Api(started).as_admin()

        # The authorizer: one more role.
        project = admin.post("/projects", project={"name": "old"}).ok()["project"]["id"]
        assert admin.delete(f"/projects/{project}").status == 403

        # The directory: people of a domain.
        domain = admin.post("/domains", domain={"name": "people"}).ok()["domain"]["id"]
        options = {"identity": {"driver": "ldap"}, "ldap": {"url": people.url}}
        admin.put(f"/domains/{domain}/config", config=options).ok()
        users = admin.get("/users", params={"domain_id": domain}).ok()["users"]
        assert sorted((user["name"], user["enabled"]) for user in users) == [("Ada", True), ("Bob", False)]
        named = admin.get("/users", params={"domain_id": domain, "name__contains": "da"}).ok()["users"]
        assert [user["email"] for user in named] == ["ada@people.example"]
        groups = admin.get(f"/users/{named[0]['id']}/groups").ok()["groups"]
        assert [group["name"] for group in groups] == ["engineers"]
        members = admin.get(f"/groups/{groups[0]['id']}/users").ok()["users"]
        assert [user["id"] for user in members] == [named[0]["id"]]

        def log_in(name, password):
            user = {"name": name, "domain": {"id": domain}, "password": password}
            return Api(server).authenticate({"identity": {"methods": ["password"], "password": {"user": user}}}).status

        assert [log_in("ada", "lovelace"), log_in("ada", "wrong"), log_in("Bob", "builder")] == [201, 401, 401]

        # The method: a question, which nobody who is not enrolled can answer.
        keys = {"user": {"id": named[0]["id"]}}
        asked = Api(server).authenticate({"identity": {"methods": ["keys"], "keys": keys}})
        assert asked.status == 401
        question = asked.json["error"]["identity"]["keys"]
        answer = {**keys, "continuation": question["continuation"], "key": "AA", "signature": question["nonce"]}
        assert Api(server).authenticate({"identity": {"methods": ["keys"], "keys": answer}}).status == 401

        # The sink: what happened so far.
        wait_until(lambda: any(event["action"] == "created.domain" for event in people.told), "the events")


def test_an_upload_has_to_be_signed_by_somebody_who_is_trusted(author, node):
    admin = Api(node).as_admin()

    def upload(component):
        wasm = {"Content-Type": "application/wasm"}
        return admin("PUT", "/v4/plugins/uploaded/artifact", headers=wasm, data=component.read_bytes())

    def signed_by(key, file):
        component = author.directory / file
        component.write_bytes(plugin("jwt").read_bytes())
        author.plugin("sign", component, "--key", key)
        return component

    admin.put("/v4/plugins/uploaded/settings", settings={"grant": {"http": {"origins": []}}}).ok()
    author.plugin("keygen", "--out", "stranger")
    strangers = signed_by(author.directory / "stranger/plugin-signing.key", "strangers.wasm")
    changed = signed_by(node.signing_key, "changed.wasm")
    content = bytearray(changed.read_bytes())
    content[-200] ^= 1
    changed.write_bytes(content)
    for component, why in [(plugin("jwt"), "not signed"), (strangers, "plugin_signers"), (changed, "does not hold")]:
        refused = upload(component)
        assert refused.status == 400 and why in refused.json["error"]["message"], refused.json
    assert admin.get("/v4/plugins/uploaded").ok()["plugin"]["digest"] is None

    good = signed_by(node.signing_key, "good.wasm")
    digest = upload(good).ok()["plugin"]["digest"]
    assert digest == hashlib.sha256(good.read_bytes()).hexdigest()

    def serves():
        listed = admin.get("/v4/plugins").ok()["plugins"]
        return any((one["name"], one["digest"]) == ("uploaded", digest) for one in listed)

    wait_until(serves, "the upload's service")
    # Nor does an unsigned one take its place.
    assert upload(plugin("jwt")).status == 400 and serves()


def test_a_name_that_is_none_makes_no_project(author):
    for name in ("Pin", "9pin", "../pin", "std", "a" * 49):
        refused = author.plugin("new", name, check=False)
        assert refused.returncode == 1 and "archstone:" in refused.stderr
    assert list(author.directory.iterdir()) == []
    author.plugin("new", "pin", "--dir", "here")
    again = author.plugin("new", "pin", "--dir", "here", check=False)
    assert again.returncode == 1 and "is not empty" in again.stderr


def test_keys_are_for_their_owner_and_never_written_over(author):
    made = author.told("keygen", "--out", "keys")
    assert os.stat(author.directory / made["private"]).st_mode & 0o777 == 0o600
    again = author.plugin("keygen", "--out", "keys", check=False)
    assert again.returncode == 1
