"""The OpenAPI document is true: what it allows, and much that it does not, is answered as it says.

Schemathesis makes the requests up. Half of them name entities that exist, since ids out of thin air
would only show what is not found; they are made anew for each operation, which may delete them.
"""

import json
import zlib
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from harness.api import Api

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: What is made up for each operation, besides its boundary cases. The whole must stay under four minutes.
EXAMPLES = 12
#: Under these paths users act for themselves only, so their user is the one who asks.
OWN = ("application_credentials", "access_rules", "credentials", "OS-OAUTH1")

pytestmark = pytest.mark.archstone_only


@schemathesis.serializer("application/wasm")
def as_component(_context, value):
    """Whatever was made up is no component."""
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


@pytest.fixture(scope="module")
def server(target_class, tmp_path_factory):
    """A server that has a file to show as its SAML metadata."""
    server = target_class(tmp_path_factory.mktemp("openapi") / "main", {"saml": {"idp_metadata_path": "{dir}/idp.xml"}})
    server.prepare()
    (server.directory / "idp.xml").write_text("<EntityDescriptor/>")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def document(server):
    """The document as it is served."""
    return requests.get(f"{server.base}/openapi.json", timeout=60).json()


@pytest.fixture(scope="module")
def schema(server, document):
    # Which token is sent is for the test to say. A NUL in a path or a header is no HTTP.
    generation = {"with-security-parameters": False, "deterministic": True, "no-shrink": True}
    config = SchemathesisConfig.from_dict({"base-url": server.base, "generation": generation})
    return schemathesis.openapi.from_dict(document, config=config)


class World:
    """One entity of each kind, for one operation to do with what it likes.

    Nothing here is the administrator's own: their user, domain, project, role and token are named
    nowhere that could delete or change them, for that would lock the test out.
    """

    def __init__(self, admin):
        self.admin = admin
        self.own = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).ok()["token"]
        self.operation = None
        self.ids = {}

    def renewed_for(self, operation):
        if self.operation != operation.label:
            self.operation = operation.label
            self.ids = self.make()
        return self

    def make(self):
        admin, own, name = self.admin, self.own["user"]["id"], uuid4().hex
        made = lambda kind, answer: answer.ok()[kind]["id"]  # noqa: E731
        post = lambda kind, path, **members: made(kind, admin.post(path, **{kind: members}))  # noqa: E731
        put = lambda kind, path, **members: made(kind, admin.put(f"{path}/{name}", **{kind: members}))  # noqa: E731
        domain = post("domain", "/domains", name=name)
        project = post("project", "/projects", name=name, domain_id=domain, tags=["tagged"])
        user = post("user", "/users", name=name, domain_id=domain, password=name)
        group = post("group", "/groups", name=name, domain_id=domain)
        role, implied = (post("role", "/roles", name=f"{name}{number}") for number in range(2))
        admin.put(f"/roles/{role}/implies/{implied}").ok()
        admin.put(f"/groups/{group}/users/{user}").ok()
        for target in (f"projects/{project}", f"domains/{domain}", "system"):
            for actor in (f"users/{user}", f"groups/{group}"):
                admin.put(f"/{target}/{actor}/roles/{role}").ok()
                if target != "system":
                    admin.put(f"/OS-INHERIT/{target}/{actor}/roles/{role}/inherited_to_projects").ok()
        region = post("region", "/regions")
        service = post("service", "/services", type="compute", name=name)
        endpoint = post(
            "endpoint", "/endpoints", service_id=service, region_id=region, interface="public", url="http://e.example"
        )
        policy = post("policy", "/policies", type="application/json", blob="{}")
        for subject in (
            f"endpoints/{endpoint}",
            f"services/{service}",
            f"services/{service}/regions/{region}",
        ):
            admin.put(f"/policies/{policy}/OS-ENDPOINT-POLICY/{subject}").ok()
        filters = {"service_id": service}
        endpoint_group = post("endpoint_group", "/OS-EP-FILTER/endpoint_groups", name=name, filters=filters)
        admin.put(f"/OS-EP-FILTER/endpoint_groups/{endpoint_group}/projects/{project}").ok()
        admin.put(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}").ok()
        limited = {"service_id": service, "region_id": region, "resource_name": name}
        registered = admin.post("/registered_limits", registered_limits=[{**limited, "default_limit": 5}]).ok()
        limits = admin.post("/limits", limits=[{**limited, "project_id": project, "resource_limit": 3}]).ok()
        mapping = put(
            "mapping",
            "/OS-FEDERATION/mappings",
            rules=[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "USER"}]}],
        )
        idp = put("identity_provider", "/OS-FEDERATION/identity_providers", enabled=True)
        protocol = put("protocol", f"/OS-FEDERATION/identity_providers/{idp}/protocols", mapping_id=mapping)
        sp_urls = {"auth_url": "https://sp.example/auth", "sp_url": "https://sp.example/sp"}
        service_provider = put("service_provider", "/OS-FEDERATION/service_providers", **sp_urls)
        rule = {"service": "compute", "path": f"/{name}", "method": "GET"}
        with_rule = admin.post(
            f"/users/{own}/application_credentials", application_credential={"name": name, "access_rules": [rule]}
        ).ok()["application_credential"]
        ec2 = admin.post(f"/users/{own}/credentials/OS-EC2", tenant_id=self.own["project"]["id"]).ok()["credential"]
        trust = post(
            "trust",
            "/OS-TRUST/trusts",
            trustor_user_id=own,
            trustee_user_id=user,
            impersonation=False,
            project_id=self.own["project"]["id"],
            roles=[{"id": self.own["roles"][0]["id"]}],
        )
        return {
            "domain_id": domain,
            "project_id": project,
            "user_id": user,
            "group_id": group,
            "role_id": role,
            "implied_role_id": implied,
            "region_id": region,
            "service_id": service,
            "endpoint_id": endpoint,
            "policy_id": policy,
            "endpoint_group_id": endpoint_group,
            "registered_limit_id": registered["registered_limits"][0]["id"],
            "limit_id": limits["limits"][0]["id"],
            "mapping_id": mapping,
            "idp_id": idp,
            "protocol_id": protocol,
            "service_provider_id": service_provider,
            "consumer_id": post("consumer", "/OS-OAUTH1/consumers", description=name),
            "application_credential_id": with_rule["id"],
            "access_rule_id": with_rule["access_rules"][0]["id"],
            "trust_id": trust,
            "value": "tagged",
            "X-Subject-Token": admin.as_user(user, name).token,
            ("OS-EC2", "credential_id"): ec2["access"],
            "credential_id": post("credential", "/credentials", type="cert", blob="{}", user_id=user),
        }

    def lend(self, case):
        """Puts ids of what exists in place of those made up."""
        path = case.operation.path
        lent = dict(self.ids)
        if any(part in path for part in OWN):
            lent["user_id"] = self.own["user"]["id"]
            lent["project_id"] = self.own["project"]["id"]
        if "OS-EC2" in path:
            lent["credential_id"] = self.ids["OS-EC2", "credential_id"]
        if path.startswith("/v3/OS-TRUST"):
            # Who trusts is the one who asks; nothing else of theirs is lent.
            lent["trustor_user_id"] = self.own["user"]["id"]
            lent["trustee_user_id"] = self.ids["user_id"]
        for members in (case.path_parameters, case.headers):
            members.update({name: lent[name] for name in members if name in lent})
        case.body = lending(case.body, lent)
        return case


def lending(value, lent):
    if isinstance(value, dict):
        return {
            name: lent[name] if name in lent and isinstance(member, str) else lending(member, lent)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [lending(member, lent) for member in value]
    return value


def chosen(case):
    """Whether a case is among the half that names what exists; the same each time it is tried."""
    return zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode(errors="replace")) % 2 == 0


@pytest.fixture(scope="module")
def world(server):
    return World(Api(server).as_admin())


@pytest.fixture
def named(request):
    """Schemathesis names tests after operations by an attribute that this pytest no longer has."""
    request.node._nodeid = request.node.nodeid


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("named")
@schemathesis.pytest.from_fixture("schema").parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_documented(case, world):
    world.renewed_for(case.operation)
    if chosen(case):
        world.lend(case)
    case.call_and_validate(
        headers={"X-Auth-Token": world.admin.token}, session=world.admin.session, checks=CHECKS, timeout=60
    )


def operations(document):
    """Each operation with its method and path."""
    return [
        (method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_a_token_is_asked_for_where_the_document_says(server, document):
    wrong = []
    for method, path, operation in operations(document):
        target = server.base + path.replace("{", "").replace("}", "").replace("*", "")
        status = requests.request(method, target, timeout=60).status_code
        if operation.get("security", document["security"]):
            is_right = status == 401
        else:  # A login is refused with the same status, and says so itself.
            is_right = status != 401 or "401" in operation["responses"]
        if not is_right:
            wrong.append(f"{method} {path}: {status} without a token")
    assert not wrong, "\n".join(wrong)


def test_references_lead_somewhere_and_names_are_unique(document):
    def references(value):
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in members:
            yield from references(member)

    assert document["openapi"].startswith("3.1.")
    for reference in set(references(document)):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in target, reference
            target = target[part]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    assert json.dumps(document)
