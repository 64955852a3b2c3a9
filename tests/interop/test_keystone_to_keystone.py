"""Keystone to Keystone: keystoneauth takes an assertion of one cloud to another, which believes it.

Each of the two clouds is Archstone or Python Keystone 30. Between client and service provider is a proxy that does the
work of mod_shib: it verifies the assertion that is posted to it, and tells the server behind it what was asserted.
"""

import re
import threading
import uuid
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from keystoneauth1 import session
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import ApplicationCredential, Keystone2Keystone, Password

from harness.api import Api
from harness.saml import IDENTITY_PROVIDER, attributes, is_signed
from harness.servers import Archstone, PythonKeystone

pytestmark = pytest.mark.archstone_only

SERVERS = {"archstone": Archstone, "keystone": PythonKeystone}
PREFIX = "X-Shib-"
AUTH = "/v3/OS-FEDERATION/identity_providers/alpha/protocols/mapped/auth"
ECP = "/Shibboleth.sso/SAML2/ECP"
ISSUER = IDENTITY_PROVIDER["idp_entity_id"]
RULES = [
    {
        "local": [{"user": {"name": "{0} of {1}"}}, {"groups": "{2}"}],
        "remote": [
            {"type": "HTTP_X_SHIB_OPENSTACK_USER"},
            {"type": "HTTP_X_SHIB_OPENSTACK_USER_DOMAIN", "any_one_of": ["Default"]},
            {"type": "HTTP_X_SHIB_OPENSTACK_USER_DOMAIN"},
            {"type": "HTTP_X_SHIB_OPENSTACK_GROUPS"},
            {"type": "HTTP_X_SHIB_OPENSTACK_ROLES", "any_one_of": ["member"]},
            {"type": "HTTP_X_SHIB_OPENSTACK_PROJECT", "any_one_of": ["engines"]},
            {"type": "HTTP_X_SHIB_OPENSTACK_PROJECT_DOMAIN", "any_one_of": ["Default"]},
        ],
    }
]


class Proxy(ThreadingHTTPServer):
    """Stands before a service provider. `change` forges what is posted, as somebody on the way would."""

    def __init__(self, behind, certificate, directory):
        super().__init__(("127.0.0.1", 0), Visit)
        self.behind, self.certificate, self.directory = behind, certificate, directory
        self.change = lambda document: document
        self.sessions = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def log_in(self, document):
        """A session for what an assertion says, or None where it is not the identity provider's or not for here."""
        document = self.change(document)
        recipient = re.search(r'Recipient="([^"]*)"', document)
        if not is_signed(document, self.certificate, self.directory) or recipient[1] != self.base + ECP:
            return None
        issuer = ElementTree.fromstring(document).find(".//{urn:oasis:names:tc:SAML:2.0:assertion}Issuer").text
        cookie = uuid.uuid4().hex
        told = {name.replace("_", "-"): ";".join(values) for name, values in attributes(document).items()}
        self.sessions[cookie] = {f"{PREFIX}{name}": value for name, value in {**told, "Identity-Provider": issuer}.items()}
        return cookie


class Visit(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != ECP:
            return self.forward(body)
        cookie = self.server.log_in(body.decode())
        self.send_response(302 if cookie else 401)
        if cookie:
            self.send_header("Set-Cookie", f"shib={cookie}; Path=/")
            self.send_header("Location", self.server.base + "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.forward(None)

    def forward(self, body):
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith(PREFIX.lower())}
        cookie = re.search(r"shib=(\w+)", self.headers.get("Cookie", ""))
        headers.update(self.server.sessions.get(cookie[1], {}) if cookie else {})
        answer = requests.request(self.command, self.server.behind + self.path, headers=headers, data=body, timeout=60)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "X-Subject-Token", "Location", "Vary"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_):
        pass


class Clouds:
    """Cloud alpha, whose user ada is; and cloud beta behind a proxy, which believes alpha."""

    def __init__(self, alpha, beta, directory):
        self.alpha, self.beta = alpha, beta
        self.proxy = Proxy(beta.base, alpha.directory / "saml.crt", directory)
        self.believe()
        self.introduce()

    def believe(self):
        """What beta's administrator does."""
        admin = self.admin = Api(self.beta).as_admin()
        provider = {"enabled": True, "domain_id": "default", "remote_ids": [ISSUER]}
        admin("PUT", "/OS-FEDERATION/mappings/alpha", json={"mapping": {"rules": RULES}}).ok()
        admin("PUT", "/OS-FEDERATION/identity_providers/alpha", json={"identity_provider": provider}).ok()
        protocol = {"mapping_id": "alpha", "remote_id_attribute": "HTTP_X_SHIB_IDENTITY_PROVIDER"}
        admin("PUT", "/OS-FEDERATION/identity_providers/alpha/protocols/mapped", json={"protocol": protocol}).ok()
        self.group = admin.post("/groups", group={"name": "staff", "domain_id": "default"}).ok()["group"]["id"]
        self.shared = admin.post("/projects", project={"name": "shared"}).ok()["project"]["id"]
        reader = admin.role("reader")
        admin.put(f"/projects/{self.shared}/groups/{self.group}/roles/{reader}").ok()

    def introduce(self):
        """What alpha's administrator does."""
        admin = Api(self.alpha).as_admin()
        beta = {"sp_url": self.proxy.base + ECP, "auth_url": self.proxy.base + AUTH, "enabled": True}
        admin("PUT", "/OS-FEDERATION/service_providers/beta", json={"service_provider": beta}).ok()
        for endpoint in admin.get("/endpoints").ok()["endpoints"]:
            admin.patch(f"/endpoints/{endpoint['id']}", endpoint={"url": self.alpha.url}).ok()
        self.user = admin.post("/users", user={"name": "ada", "password": "secret"}).ok()["user"]["id"]
        project = self.project = admin.post("/projects", project={"name": "engines"}).ok()["project"]["id"]
        member = admin.role("member")
        admin.put(f"/projects/{project}/users/{self.user}/roles/{member}").ok()
        for name in ("staff", "night shift"):
            group = admin.post("/groups", group={"name": name}).ok()["group"]["id"]
            admin.put(f"/groups/{group}/users/{self.user}").ok()
        # Beta has groups of all names that alpha tells.
        self.admin.post("/groups", group={"name": "night shift", "domain_id": "default"}).ok()

    def at_home(self):
        return Password(self.alpha.url, user_id=self.user, password="secret", project_id=self.project)

    def travel(self, at_home, **scope):
        """What a client is at beta who is this one at alpha."""
        there = Keystone2Keystone(at_home, "beta", **scope)
        return there.get_access(session.Session(there))


@pytest.fixture(
    params=[("archstone", "archstone"), ("archstone", "keystone"), ("keystone", "archstone")],
    ids=lambda pair: f"{pair[0]}_to_{pair[1]}",
    scope="module",
)
def clouds(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("clouds")
    methods = {"methods": "password,token,mapped,application_credential"}
    trusting = {"trusted_proxies": "127.0.0.1", "assertion_header_prefix": PREFIX}
    alpha = SERVERS[request.param[0]](directory / "alpha", {"auth": methods, "saml": IDENTITY_PROVIDER})
    beta = SERVERS[request.param[1]](directory / "beta", {"auth": methods, "archstone": trusting})
    with alpha, beta:
        clouds = Clouds(alpha, beta, directory)
        yield clouds
        clouds.proxy.shutdown()


@pytest.fixture(autouse=True)
def nobody_on_the_way(clouds):
    clouds.proxy.change = lambda document: document


def test_a_user_of_one_cloud_is_at_home_in_the_other(clouds):
    access = clouds.travel(clouds.at_home(), project_id=clouds.shared)
    assert access.username == "ada of Default"
    assert access.project_id == clouds.shared and access.role_names == ["reader"]
    token = clouds.admin.validate(access.auth_token).ok()["token"]
    assert token["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "alpha"}
    assert clouds.group in [group["id"] for group in token["user"]["OS-FEDERATION"]["groups"]]


@pytest.mark.parametrize(
    "true,forged", [(">ada<", ">eve<"), ("night shift", "admins of all"), (ISSUER, "https://other.example/idp")]
)
def test_a_forged_assertion_opens_nothing(clouds, true, forged):
    def change(document):
        assert true in document
        return document.replace(true, forged)

    clouds.proxy.change = change
    with pytest.raises(ClientException):
        clouds.travel(clouds.at_home(), project_id=clouds.shared)


def test_an_assertion_for_another_place_opens_nothing(clouds):
    Api(clouds.alpha).as_admin().patch(
        "/OS-FEDERATION/service_providers/beta", service_provider={"sp_url": clouds.proxy.base + ECP + "/"}
    ).ok()
    identity = {"token": {"id": Api(clouds.alpha).as_user(clouds.user, "secret", {"project": {"id": clouds.project}}).token}}
    auth = {"identity": identity, "scope": {"service_provider": {"id": "beta"}}}
    elsewhere = Api(clouds.alpha).post("/auth/OS-FEDERATION/saml2/ecp", auth=auth).ok().response.content
    Api(clouds.alpha).as_admin().patch(
        "/OS-FEDERATION/service_providers/beta", service_provider={"sp_url": clouds.proxy.base + ECP}
    ).ok()
    assert requests.post(clouds.proxy.base + ECP, data=elsewhere, allow_redirects=False).status_code == 401


def test_what_a_client_says_itself_is_not_believed(clouds):
    told = {"Openstack-User": "ada", "Openstack-User-Domain": "Default", "Identity-Provider": ISSUER}
    headers = {f"{PREFIX}{name}": value for name, value in told.items()}
    assert requests.get(clouds.proxy.base + AUTH, headers=headers).status_code == 401


def test_what_a_user_handed_out_does_not_travel(clouds):
    if clouds.alpha.name == "keystone":
        pytest.skip("Python Keystone vouches for the user of a delegated token")
    user = Api(clouds.alpha).as_user(clouds.user, "secret", {"project": {"id": clouds.project}})
    body = {"name": uuid.uuid4().hex, "secret": "robot"}
    made = user.post(f"/users/{clouds.user}/application_credentials", application_credential=body).ok()
    robot = ApplicationCredential(
        clouds.alpha.url,
        application_credential_id=made["application_credential"]["id"],
        application_credential_secret="robot",
    )
    with pytest.raises(ClientException):
        clouds.travel(robot, project_id=clouds.shared)
