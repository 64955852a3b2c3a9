"""The Rust client `osc` itself, where it is installed: passwords, identity providers of `/v4`, and JWTs of workloads."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
import yaml
from cryptography.hazmat.primitives import serialization

from federation.conftest import Domain
from federation.test_workloads import Ci
from harness.api import Api
from harness.plugins import plugin
from harness.servers import ADMIN_PASSWORD, ROOT, Archstone

pytestmark = pytest.mark.archstone_only

V4 = ("identity", "--os-identity-api-version", "4", "federation", "identity-provider")
MAPPING = {
    "user_id_claim": "sub",
    "user_name_claim": "repository",
    "bound_audiences": ["archstone"],
    "bound_claims": {"repository": "acme/*"},
}


def installed():
    known = [os.environ.get("ARCHSTONE_OSC"), shutil.which("osc"), ROOT / "target/tools/bin/osc"]
    return next((str(path) for path in known if path and Path(path).is_file()), None)


class Osc:
    """`osc("admin", "identity", "user", "list")` gives what the command tells as JSON."""

    def __init__(self, server, program, directory):
        self.server = server
        self.program = program
        self.directory = directory
        self.clouds = {}

    def know(self, name, auth_type, **auth):
        auth = {"auth_url": self.server.base, **auth}
        cloud = {"auth_type": auth_type, "auth": auth, "region_name": "RegionOne", "interface": "public"}
        self.clouds[name] = cloud
        self.clouds[f"{name}-v4"] = {**cloud, "identity_endpoint_override": f"{self.server.base}/v4/"}
        (self.directory / "clouds.yaml").write_text(yaml.safe_dump({"clouds": self.clouds}))

    def run(self, cloud, *words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        environment |= {"HOME": str(self.directory), "OS_CLIENT_CONFIG_FILE": str(self.directory / "clouds.yaml")}
        command = [self.program, "--os-cloud", cloud, "-o", "json", *map(str, words)]
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=120)

    def __call__(self, cloud, *words):
        done = self.run(cloud, *words)
        assert done.returncode == 0, f"osc {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module", autouse=True)
def catalog_leads_here(server):
    """Leads to the address that names all versions: `osc` looks for `/v4` there."""
    admin = Api(server).as_admin()
    for endpoint in admin.get("/endpoints").ok()["endpoints"]:
        admin.patch(f"/endpoints/{endpoint['id']}", endpoint={"url": server.base}).ok()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    config = {"archstone": {"plugin_directory": "{dir}/plugins", "announce_v4": "true"}}
    server = Archstone(tmp_path_factory.mktemp("osc") / "main", config).prepare()
    plugins = server.directory / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "jwt.json").write_text(json.dumps({"grant": {"http": {"origins": []}}, "connectors": {"servers": [Ci.ISSUER]}}))
    server.archstone("plugin", "install", plugin("jwt"))
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def acme(server):
    return Domain(server, "acme")


@pytest.fixture(scope="module")
def osc(server, acme, tmp_path_factory):
    program = installed()
    if program is None:
        pytest.skip("osc is not installed: docs/contributing.md says how to")
    osc = Osc(server, program, tmp_path_factory.mktemp("client"))
    osc.know(
        "admin",
        "password",
        username="admin",
        password=ADMIN_PASSWORD,
        user_domain_id="default",
        project_name="admin",
        project_domain_id="default",
    )
    osc.know(
        "manager",
        "password",
        username="manager",
        password="the-managers-of-the-tests",
        user_domain_id=acme.id,
        domain_id=acme.id,
    )
    # `osc` 0.13 asks `/v4` for no password, and once it has logged in asks for no version, so that it
    # takes `/v3`: it logs in there, keeps the token, and is then led to `/v4`.
    osc("manager", "identity", "user", "list")
    return osc


@pytest.fixture(scope="module")
def ci():
    return Ci()


@pytest.fixture
def keys(ci):
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = ci.key.public_key().public_bytes(serialization.Encoding.PEM, subject).decode()
    # PEM begins with dashes, as options do.
    return ("--bound-issuer", ci.ISSUER, f"--jwt-validation-pubkeys={pem}")


def test_v4_is_announced_where_the_operator_says_so(server, start):
    ids = [version["id"] for version in Api(server).get("/").json["versions"]["values"]]
    assert ids == ["v4.0", "v3.14"]
    assert [version["id"] for version in Api(start()).get("/").json["versions"]["values"]] == ["v3.14"]


def test_a_password_and_the_api_of_keystone(osc):
    assert "admin" in [user["name"] for user in osc("admin", "identity", "user", "list")]
    assert "acme" in [domain["name"] for domain in osc("admin", "identity", "domain", "list")]


def test_identity_providers(osc, acme, keys):
    made = osc("manager-v4", *V4, "create", "--name", "runners", "--domain-id", acme.id, *keys)
    assert made["name"] == "runners" and made["domain_id"] == acme.id and made["enabled"] is True
    assert made["id"] in [one["id"] for one in osc("manager-v4", *V4, "list")]
    assert osc("manager-v4", *V4, "show", made["id"])["bound_issuer"] == made["bound_issuer"]
    changed = osc("manager-v4", *V4, "set", made["id"], "--name", "renamed", "--enabled", "false")
    assert changed == {**made, "name": "renamed", "enabled": False}
    refused = osc.run("manager-v4", *V4, "create", "--name", "late", "--oidc-client-secret", "s", *keys)
    assert refused.returncode != 0 and "oidc_client_secret" in refused.stdout + refused.stderr
    osc("manager-v4", *V4, "delete", made["id"])
    assert made["id"] not in [one["id"] for one in osc("manager-v4", *V4, "list")]


def mapped(osc, keys, name):
    """An identity provider with a mapping, which `osc` 0.13 has no command for."""
    idp = osc("manager-v4", *V4, "create", "--name", name, "--default-mapping-name", "jobs", *keys)
    mapping = {"mapping": {"name": "jobs", "idp_id": idp["id"], **MAPPING}}
    mappings = f"{osc.server.base}/v4/federation/mappings"
    osc("manager-v4", "api", "identity", mappings, "--method", "post", "--body", json.dumps(mapping))
    shown = osc("manager-v4", "api", "identity", f"{mappings}/{idp['id']}")["mapping"]
    assert shown["bound_claims"] == MAPPING["bound_claims"] and shown["type"] == "jwt"
    return idp["id"]


def test_a_mapping_lets_jobs_in(osc, acme, ci, keys):
    idp = mapped(osc, keys, "mapped")
    url = f"{osc.server.base}/v4/federation/identity_providers/{idp}/jwt"
    for claims, status in (({}, 201), ({"repository": "x/y"}, 401)):
        headers = {"Authorization": f"Bearer {ci.token(**claims)}", "openstack-mapping": "jobs"}
        assert requests.post(url, headers=headers, timeout=60).status_code == status


def test_a_job_logs_in(osc, acme, ci, keys):
    idp = mapped(osc, keys, "ci")
    osc.know("job", "v4jwt", identity_provider=idp, attribute_mapping_name="jobs", jwt=ci.token())
    shown = osc.run("job", "auth", "show")
    if "is not a supported type" in shown.stderr:
        pytest.skip("this osc was linked without its plugin for v4jwt, as 0.13.8 is")
    assert shown.returncode == 0 and "acme/engine" in shown.stdout, shown.stdout + shown.stderr
    osc.know("stranger", "v4jwt", identity_provider=idp, attribute_mapping_name="jobs", jwt=ci.token(repository="x/y"))
    assert osc.run("stranger", "auth", "show").returncode != 0
