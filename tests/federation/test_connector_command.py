"""`archstone connector`: what a domain's manager does from a shell, with the variables that `openstack` has too."""

import json
import os
import subprocess

import pytest

from federation.conftest import PASSWORD, Domain
from federation.test_workloads import RULES, Ci, configured, exchange
from harness.servers import Archstone

pytestmark = pytest.mark.archstone_only


class Shell:
    """Somebody in a directory, with these OS_ variables."""

    def __init__(self, directory, **variables):
        self.directory = directory
        others = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        self.environment = {**others, **{f"OS_{name.upper()}": value for name, value in variables.items()}}

    def run(self, *arguments, stdin=""):
        return subprocess.run(
            [str(Archstone.binary), "connector", *map(str, arguments)],
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def __call__(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def told(self, *arguments, **options):
        return json.loads(self("--json", *arguments, **options))

    def fails(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def file(self, name, contents):
        (self.directory / name).write_text(contents if isinstance(contents, str) else json.dumps(contents))
        return name


def manager_of(domain, directory, **more):
    variables = {
        "auth_url": f"{domain.server.base}/v3",
        "username": "manager",
        "password": PASSWORD,
        "user_domain_id": domain.id,
        "domain_id": domain.id,
    }
    return Shell(directory, **{**variables, **more})


@pytest.fixture(scope="module")
def initech(server):
    return Domain(server, "initech")


@pytest.fixture
def shell(initech, tmp_path):
    return manager_of(initech, tmp_path)


def rules_of(domain):
    return json.loads(json.dumps(RULES).replace("DOMAIN", domain.name))


def test_a_manager_connects_a_ci_and_disconnects_it(server, initech, shell):
    ci = Ci()
    shell.file("config.json", configured(ci))
    shell.file("rules.json", rules_of(initech))
    made = shell.told("create", "builds", "--plugin", "jwt", "--config", "config.json", "--mapping", "rules.json")
    assert (made["domain_id"], made["protocol_id"], made["enabled"]) == (initech.id, "jwt", True)
    assert initech.manager.get(f"/v4/connectors/{made['id']}").ok()["connector"] == made

    header, line = shell("list").splitlines()
    assert header.split() == ["id", "name", "domain_id", "plugin", "protocol_id", "enabled"]
    assert line.split() == [made["id"], "builds", initech.id, "jwt", "jwt", "true"]
    assert shell.told("list", "--plugin", "oidc") == []
    assert shell.told("show", "builds") == shell.told("show", made["id"]) == made
    shown = [row.split(None, 1) for row in shell("show", "builds").splitlines()]
    assert ["name", "builds"] in shown and ["token_project_id"] in shown

    # Tried without logging anybody in.
    shell.file("token", ci.token() + "\n")
    trial = shell.told("check", "builds", "--token", "token")
    assert [rule["fits"] for rule in trial["rules"]] == [True, True] and trial["error"] is None
    assert shell.told("check", "builds", "--token", "-", stdin=ci.token())["mapped"] == trial["mapped"]
    foreign = ci.token(repository="evil/engine")
    assert "401" in shell.fails("check", "builds", "--token", "-", stdin=foreign)
    assert "nobody would be logged in" in shell.fails("check", "builds", "--subject", "1")
    claims = json.dumps({"repository": "acme/other"})
    assert shell.told("check", "builds", "--subject", "1", "--claims", "-", stdin=claims)["error"] is None
    assert initech.admin.get("/users", params={"domain_id": initech.id}).ok()["users"][0]["name"] == "manager"

    def job():
        answer = exchange(server, made, ci.token(), initech.scope)
        return answer.status_code, answer.headers.get("X-Subject-Token")

    def holds(token):
        return initech.admin.validate(token).status == 200

    status, token = job()
    assert status == 201 and holds(token)
    assert shell("revoke", "builds") == ""
    assert not holds(token)
    status, token = job()
    assert status == 201
    assert shell.told("disable", "builds")["enabled"] is False
    assert job()[0] == 403 and not holds(token)
    assert shell.told("enable", "builds")["enabled"] is True
    assert job()[0] == 201

    shell.file("config.json", configured(ci, audiences=["somebody-else"]))
    changed = shell.told("update", "builds", "--name", "ci", "--config", "config.json")
    assert (changed["name"], changed["config"]["audiences"]) == ("ci", ["somebody-else"])
    assert changed["mapping"] == made["mapping"] and job()[0] == 401
    assert shell("delete", "ci") == ""
    assert shell.told("list") == []


def test_secrets_come_from_files_and_are_never_shown(initech, provider, shell):
    secret = "a secret's text"
    provider.add_client("command", client_secret=secret, redirect_uris=["https://cloud.example/"])
    config = {"issuer": provider.issuer, "client_id": "command"}
    shell.file("config.json", config)
    shell.file("rules.json", {"rules": rules_of(initech)})
    shell.file("secret", secret + "\n")
    given = ["--config", "config.json", "--mapping", "rules.json", "--disabled"]
    made = shell.told("create", "people", "--plugin", "oidc", *given, "--secret", "client_secret=secret")
    assert (made["config"], made["secrets"], made["enabled"]) == (config, ["client_secret"], False)
    # A new one, beside what is configured already.
    uri = "https://dashboard.example/back"
    changed = shell.run(
        "--json", "update", "people", "--secret", "client_secret=-", "--redirect-uri", uri, stdin="a new secret"
    )
    assert changed.returncode == 0, changed.stderr
    changed = json.loads(changed.stdout)
    assert changed["config"] == config and changed["redirect_uris"] == [uri]
    assert changed["revision"] > made["revision"]
    assert secret not in shell("show", "people") + shell("--json", "show", "people")
    both = ["update", "people", "--config", "-", "--secret", "client_secret=-"]
    assert "can be read once" in shell.fails(*both, stdin="{}")
    shell.file("config.json", '{"client_secret": "a secret that')
    assert "a secret that" not in shell.fails("update", "people", "--config", "config.json")
    shell("delete", "people")


def test_errors_say_what_is_wrong(server, initech, globex, shell, tmp_path):
    shell.file("rules.json", rules_of(initech))
    # Who may see some only is not told which there are.
    assert "403" in shell.fails("show", "no-such-connector")
    ci = Ci()
    shell.file("config.json", {**configured(ci), "audiences": 1})
    create = ["create", "builds", "--plugin", "jwt", "--config", "config.json", "--mapping", "rules.json"]
    assert "audiences" in shell.fails(*create)
    assert "--mapping" in shell.fails(*create[:-2])
    shell.file("config.json", configured(ci))
    assert "403" in shell.fails(*create, "--domain-id", globex.id)
    shell(*create)
    assert "there is nothing to change" in shell.fails("update", "builds")

    # Somebody else's manager neither sees nor changes it.
    other = manager_of(globex, tmp_path)
    assert other.told("list") == []
    known = shell.told("show", "builds")["id"]
    for command in (["show"], ["update", "--name", "mine"], ["delete"], ["disable"], ["revoke"]):
        assert other.run(command[0], known, *command[1:]).returncode == 1
    assert shell.told("show", "builds")["id"] == known

    # A token will do, and a password has to be right.
    token = initech.manager.token
    by_token = Shell(tmp_path, auth_url=server.base, token=token)
    assert [one["id"] for one in by_token.told("list")] == [known]
    assert "401" in manager_of(initech, tmp_path, password="wrong").fails("list")
    assert "OS_AUTH_URL" in Shell(tmp_path).fails("list")
    assert "OS_PASSWORD" in Shell(tmp_path, auth_url=server.base, username="manager").fails("list")
    assert "OS_USER_DOMAIN_ID" in manager_of(initech, tmp_path, user_domain_id="").fails("list")
    assert "no answer" in manager_of(initech, tmp_path, auth_url="http://127.0.0.1:1/v3").fails("list")
    shell("delete", "builds")
