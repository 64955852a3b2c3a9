"""Assertions and metadata, read by what service providers use: xmlsec1, and pysaml2 as a whole service provider.

Runs in an environment with keystone==30.0.0, which brings pysaml2, and with the program xmlsec1.
"""

import base64
import xml.etree.ElementTree as ElementTree

import pytest
from saml2 import BINDING_HTTP_POST
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.sigver import SignatureError
from saml2.xml.schema import validate

from differential.script import element_as_json
from harness.api import Api
from harness.saml import IDENTITY_PROVIDER, attributes, is_signed, make_key_pair
from harness.servers import Archstone, PythonKeystone

pytestmark = pytest.mark.archstone_only

RESPONSE = "/auth/OS-FEDERATION/saml2"
ENVELOPE = "/auth/OS-FEDERATION/saml2/ecp"
SP_URL = "https://sp.example/ecp?a=1&b=2"
USER = 'ada <&"> ñ'
GROUP = 'staff "ü"'


class Cloud:
    """An identity provider with one user, who has a token."""

    def __init__(self, server):
        self.server = server
        self.admin = admin = Api(server).as_admin()
        body = {"sp_url": SP_URL, "auth_url": "https://sp.example/auth", "enabled": True}
        admin.put("/OS-FEDERATION/service_providers/beta", service_provider=body).ok()
        user = admin.post("/users", user={"name": USER, "password": "secret"}).ok()["user"]["id"]
        group = admin.post("/groups", group={"name": GROUP}).ok()["group"]["id"]
        project = admin.post("/projects", project={"name": "engines"}).ok()["project"]["id"]
        admin.put(f"/groups/{group}/users/{user}").ok()
        for role in admin.get("/roles").ok()["roles"]:
            if role["name"] in ("member", "reader"):
                admin.put(f"/projects/{project}/users/{user}/roles/{role['id']}").ok()
        self.user = admin.as_user(user, "secret", {"project": {"id": project}})

    def ask(self, path):
        identity = {"methods": ["token"], "token": {"id": self.user.token}}
        return self.user.using(None).post(path, auth={"identity": identity, "scope": {"service_provider": {"id": "beta"}}})

    def assertion(self, path):
        answer = self.ask(path).ok()
        assert answer.headers["Content-Type"] == "text/xml" and answer.headers["X-Sp-Url"] == SP_URL
        answer.response.encoding = "utf-8"
        return answer.response.text

    @property
    def certificate(self):
        return self.server.directory / "saml.crt"

    def metadata(self):
        return self.server.archstone("saml", "metadata").stdout


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with Archstone(tmp_path_factory.mktemp("idp") / "server", {"saml": IDENTITY_PROVIDER}) as server:
        yield Cloud(server)


def service_provider(metadata):
    endpoints = {"assertion_consumer_service": [(SP_URL, BINDING_HTTP_POST)]}
    demands = {"allow_unsolicited": True, "want_response_signed": False, "want_assertions_signed": True}
    config = {
        "entityid": "https://sp.example/metadata",
        "metadata": {"inline": [metadata]},
        "service": {"sp": {"endpoints": endpoints, **demands}},
        "allow_unknown_attributes": True,
    }
    return Saml2Client(SPConfig().load(config))


def accept(metadata, document):
    """What pysaml2 makes of a response; it looks at schema, signature, times and recipient."""
    posted = base64.b64encode(document.encode()).decode()
    return service_provider(metadata).parse_authn_request_response(posted, BINDING_HTTP_POST)


def test_a_service_provider_accepts_the_assertion(cloud):
    accepted = accept(cloud.metadata(), cloud.assertion(RESPONSE))
    assert accepted.issuer() == IDENTITY_PROVIDER["idp_entity_id"]
    assert accepted.name_id.text == USER
    assert accepted.ava == {
        "openstack_user": [USER],
        "openstack_user_domain": ["Default"],
        "openstack_roles": accepted.ava["openstack_roles"],
        "openstack_project": ["engines"],
        "openstack_project_domain": ["Default"],
        "openstack_groups": ['JSON:{"name": "staff \\"\\u00fc\\"", "domain": {"name": "Default"}}'],
    }
    assert sorted(accepted.ava["openstack_roles"]) == ["member", "reader"]


@pytest.mark.parametrize("path", [RESPONSE, ENVELOPE])
def test_the_signature_is_that_of_the_certificate(cloud, path, tmp_path):
    document = cloud.assertion(path)
    assert is_signed(document, cloud.certificate, tmp_path)
    assert attributes(document)["openstack_user"] == [USER]
    make_key_pair(tmp_path)
    assert not is_signed(document, tmp_path / "saml.crt", tmp_path)


@pytest.mark.parametrize(
    "true,forged",
    [
        ("engines", "looms"),
        (">member<", ">admin<"),
        ("ada &lt;", "eve &lt;"),
        ('NotOnOrAfter="2', 'NotOnOrAfter="3'),
        ('Recipient="https://sp.example/', 'Recipient="https://ap.example/'),
        ("</saml:AttributeStatement>", '<saml:Attribute Name="x"/></saml:AttributeStatement>'),
    ],
)
def test_an_assertion_that_was_changed_is_not_accepted(cloud, true, forged, tmp_path):
    document = cloud.assertion(RESPONSE)
    changed = document.replace(true, forged)
    assert changed != document
    assert not is_signed(changed, cloud.certificate, tmp_path)
    with pytest.raises(SignatureError):
        accept(cloud.metadata(), changed)


def test_every_assertion_has_ids_of_its_own_that_are_names_in_xml(cloud):
    ids = [element.get("ID") for _ in range(8) for element in ElementTree.fromstring(cloud.assertion(RESPONSE)).iter()]
    ids = [one for one in ids if one]
    assert len(ids) == len(set(ids)) == 16
    assert all(one[0].isalpha() for one in ids)


def test_the_metadata_says_what_keystone_manage_says(cloud):
    ours = cloud.metadata()
    validate(ours)
    manage = PythonKeystone.bin / "keystone-manage"
    theirs = cloud.server.run(manage, "--config-file", cloud.server.config_file, "saml_idp_metadata").stdout
    assert element_as_json(ElementTree.fromstring(ours)) == element_as_json(ElementTree.fromstring(theirs))
    certificate = "".join(cloud.certificate.read_text().splitlines()[1:-1])
    assert f">{certificate}<" in ours


def test_the_metadata_route_serves_what_the_command_printed(cloud, start):
    server = start({"saml": {**IDENTITY_PROVIDER, "idp_metadata_path": "{dir}/metadata.xml"}})
    metadata = server.archstone("saml", "metadata").stdout
    (server.directory / "metadata.xml").write_text(metadata)
    assert Api(server).get("/OS-FEDERATION/saml2/metadata").ok().response.text == metadata


@pytest.mark.parametrize("missing", ["idp_entity_id", "idp_sso_endpoint", "certfile"])
def test_metadata_without_what_it_needs_is_not_printed(tmp_path, missing):
    options = {name: value for name, value in IDENTITY_PROVIDER.items() if name != missing}
    server = Archstone(tmp_path / "server", {"saml": options}).prepare()
    failed = server.archstone("saml", "metadata", check=False)
    assert failed.returncode == 1 and not failed.stdout
    assert "signing_cert.pem" in failed.stderr if missing == "certfile" else missing in failed.stderr


@pytest.mark.parametrize(
    "broken",
    [
        {"xmlsec1_binary": "/nowhere/xmlsec1"},
        {"xmlsec1_binary": "/bin/false"},
        {"xmlsec1_binary": "/bin/true"},
        {"keyfile": "{dir}/nowhere.key"},
    ],
)
def test_what_cannot_be_signed_is_a_fault_whose_cause_stays_in_the_log(start, broken):
    cloud = Cloud(start({"saml": {**IDENTITY_PROVIDER, **broken}}))
    answer = cloud.ask(RESPONSE).fails(500)
    told = answer.response.text
    assert "xmlsec1" not in told and "saml" not in told and "/" not in told, told
    log = cloud.server.log(last=100_000)
    assert "cannot sign a SAML assertion" in log and cloud.user.token not in log and "PRIVATE KEY" not in log
