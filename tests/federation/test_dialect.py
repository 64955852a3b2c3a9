"""Identity providers and mappings as the Rust client (`osc`) makes them, and logins by them."""

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from federation.provider import Browser
from federation.test_workloads import Ci
from harness.api import Api

pytestmark = pytest.mark.archstone_only

PROVIDERS = "/v4/federation/identity_providers"
MAPPINGS = "/v4/federation/mappings"
BACK = "http://localhost:8050/oidc/callback"
SECRET = "the-secret-of-the-client"
PEOPLE = {"user_id_claim": "sub", "user_name_claim": "email", "groups_claim": "groups"}
JOBS = {
    "user_id_claim": "repository",
    "user_name_claim": "repository",
    "bound_audiences": ["archstone"],
    "bound_claims": {"repository": "acme/*"},
}


@pytest.fixture(scope="module")
def ci():
    return Ci()


def pem(key):
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, subject).decode()


names = iter(range(1000))


def fields(**given):
    return {"name": f"dialect-{next(names)}", **given}


def make_provider(domain, **given):
    return domain.manager.post(PROVIDERS, identity_provider=fields(**given)).ok()["identity_provider"]


def make_mapping(domain, idp, **given):
    return domain.manager.post(MAPPINGS, mapping=fields(idp_id=idp["id"], **given)).ok()["mapping"]


@pytest.fixture
def people(acme, provider):
    """Makes an identity provider of people, with a client at the OpenID provider."""

    def make(client_id, **given):
        provider.add_client(
            client_id,
            client_secret=SECRET,
            redirect_uris=[BACK],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope="openid email groups",
        )
        return make_provider(
            acme,
            oidc_client_id=client_id,
            oidc_client_secret=SECRET,
            oidc_discovery_url=provider.discovery,
            oidc_scopes=["openid", "email", "groups"],
            allowed_redirect_uris=[BACK],
            **given,
        )

    return make


def log_in(server, idp, login="ada", **scope):
    """What the client is answered once its browser came back."""
    anybody = Api(server)
    begun = anybody.post(f"{PROVIDERS}/{idp['id']}/auth", redirect_uri=BACK)
    if begun.status != 200:
        return begun
    address = Browser().log_in(begun["auth_url"], login, until=BACK)
    parameters = dict(parse_qsl(urlsplit(address).query))
    return anybody.post("/v4/federation/oidc/callback", **parameters, **scope)


def exchange(server, idp, token, **headers):
    url = f"{server.base}{PROVIDERS}/{idp['id']}/jwt"
    return requests.post(url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=60)


def test_people_log_in_by_what_the_dialect_made(server, acme, provider, people):
    idp = people("dialect", default_mapping_name="staff")
    assert idp["bound_issuer"] == provider.issuer and idp["oidc_discovery_url"] == provider.discovery
    assert idp["default_mapping_name"] == "staff" and idp["oidc_response_types"] == ["code"]
    assert SECRET not in str(idp) and idp["domain_id"] == acme.id and idp["enabled"]
    assert log_in(server, idp).status == 401, "without a mapping, nobody comes by it"
    acme.manager.post(MAPPINGS, mapping={"name": "other", "idp_id": idp["id"], **PEOPLE}).fails(400)
    mapping = acme.manager.post(MAPPINGS, mapping={"name": "staff", "idp_id": idp["id"], **PEOPLE}).ok()["mapping"]
    assert mapping["type"] == "oidc" and mapping["domain_id"] == acme.id and mapping["idp_id"] == idp["id"]
    answer = log_in(server, idp, scope=acme.scope).ok()
    assert answer["token"]["user"]["name"] == "ada@id.example"
    assert answer["token"]["project"]["id"] == acme.project
    # A claim that is bound keeps everybody else out.
    acme.manager.put(f"{MAPPINGS}/{mapping['id']}", mapping={"bound_claims": {"email": "bob@id.example"}}).ok()
    assert log_in(server, idp).status == 401
    assert log_in(server, idp, login="bob").status == 201


def test_workloads_log_in_by_what_the_dialect_made(server, acme, ci):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    assert exchange(server, idp, ci.token()).status_code == 401, "without a mapping, nobody comes by it"
    mapping = make_mapping(acme, idp, **JOBS)
    assert mapping["type"] == "jwt" and mapping["allowed_redirect_uris"] is None
    answer = exchange(server, idp, ci.token(), **{"Openstack-Mapping": mapping["name"]})
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["user"]["name"] == "acme/engine" and answer.json()["token"]["user"]["domain"]["id"] == acme.id
    assert exchange(server, idp, ci.token(), **{"Openstack-Mapping": "no-such"}).status_code == 400
    for claims in ({"repository": "evil/engine"}, {"aud": "other"}, {"iss": "https://evil.example"}):
        assert exchange(server, idp, ci.token(**claims)).status_code == 401, claims
    assert exchange(server, idp, Ci().token()).status_code == 401
    # Everybody of the dialect sees the connector that it is, and the other way round.
    connector = acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"]
    assert connector["plugin"] == "jwt" and connector["config"]["subject_claim"] == "repository"
    assert acme.admin.get(f"/OS-FEDERATION/identity_providers/{idp['id']}").ok()["identity_provider"]["enabled"]
    assert acme.admin.get(f"/OS-FEDERATION/mappings/{mapping['id']}").ok()["mapping"]["rules"]


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_keys_in_pem(server, acme, ci, key):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(key)])
    make_mapping(acme, idp, **JOBS)
    signed = Ci()
    signed.key = key
    algorithm = {"RSAPrivateKey": "RS256", "ECPrivateKey": "ES384"}.get(type(key).__name__, "EdDSA")
    token = signed.token(algorithm=algorithm)
    assert exchange(server, idp, token).status_code == 201
    # What is shown can be given again.
    shown = acme.manager.get(f"{PROVIDERS}/{idp['id']}").ok()["identity_provider"]["jwt_validation_pubkeys"]
    acme.manager.put(f"{PROVIDERS}/{idp['id']}", identity_provider={"jwt_validation_pubkeys": shown}).ok()
    assert exchange(server, idp, token).status_code == 201


def test_tokens_for_one_project_alone(server, acme, ci, anybody):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    other = acme.admin.post("/projects", project={"name": idp["name"], "domain_id": acme.id}).ok()["project"]["id"]
    make_mapping(acme, idp, **JOBS, groups_claim="groups", token_project_id=acme.project)
    member = acme.admin.role("member")
    acme.admin.put(f"/projects/{other}/groups/{acme.group}/roles/{member}").ok()
    answer = exchange(server, idp, ci.token(groups=["engineers"]))
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["project"]["id"] == acme.project
    identity = {"methods": ["token"], "token": {"id": answer.headers["X-Subject-Token"]}}
    anybody.authenticate({"identity": identity, "scope": acme.scope}).ok()
    for scope in ({"project": {"id": other}}, {"domain": {"id": acme.id}}, {"system": {"all": True}}):
        anybody.authenticate({"identity": identity, "scope": scope}).fails(403)
    assert anybody.authenticate({"identity": identity, "scope": "unscoped"}).ok()["token"]["project"]["id"] == acme.project
    # Who has no role there gets no token for anything else.
    assert exchange(server, idp, ci.token()).status_code == 401
    # In other words, it is a connector's property.
    assert acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"]["token_project_id"] == acme.project
    acme.manager.patch(f"/v4/connectors/{idp['id']}", connector={"token_project_id": None}).ok()
    assert "project" not in exchange(server, idp, ci.token()).json()["token"]


def test_what_is_left_out_of_a_change_stays(acme, people, provider):
    idp = people("staying", provider_config={"userinfo": "never"})
    path = f"{PROVIDERS}/{idp['id']}"
    changed = acme.manager.put(path, identity_provider={"name": "renamed", "provider_config": {}}).ok()["identity_provider"]
    assert changed == {**idp, "name": "renamed"}
    secrets = acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"]["secrets"]
    assert secrets == ["client_secret"]
    changed = acme.manager.put(path, identity_provider={"oidc_scopes": None, "provider_config": {"userinfo": None}}).ok()
    assert changed["identity_provider"]["oidc_scopes"] is None and changed["identity_provider"]["provider_config"] is None
    acme.manager.put(path, identity_provider={"oidc_client_secret": None}).ok()
    assert acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"]["secrets"] == []
    mapping = make_mapping(acme, idp, **PEOPLE, bound_audiences=["staying"], bound_subject="ada")
    where = f"{MAPPINGS}/{mapping['id']}"
    changed = acme.manager.put(where, mapping={"groups_claim": None, "bound_subject": None}).ok()["mapping"]
    assert changed == {**mapping, "groups_claim": None, "bound_subject": None}
    assert changed["bound_audiences"] == ["staying"]
    assert acme.manager.put(where, mapping={"enabled": False}).ok()["mapping"]["enabled"] is False
    assert acme.manager.get(path).ok()["identity_provider"]["enabled"] is False


def test_lists(acme, globex, ci):
    keys = {"bound_issuer": ci.ISSUER, "jwt_validation_pubkeys": [pem(ci.key)]}
    made = [make_provider(acme, **keys) for _ in range(5)]
    elsewhere = make_provider(globex, **keys)
    mapped = [make_mapping(acme, idp, **JOBS) for idp in made[::2]]

    def ids(path, manager=acme.manager):
        (entries,) = [value for value in manager.get(path).ok().json.values() if isinstance(value, list)]
        return [entry["id"] for entry in entries]

    assert {idp["id"] for idp in made} <= set(ids(PROVIDERS)) and elsewhere["id"] not in ids(PROVIDERS)
    assert ids(f"{PROVIDERS}?name={made[1]['name']}") == [made[1]["id"]]
    assert {idp["id"] for idp in made} <= set(ids(f"{PROVIDERS}?domain_id={acme.id}", acme.admin))
    assert elsewhere["id"] in ids(PROVIDERS, acme.admin)
    assert {one["id"] for one in mapped} <= set(ids(f"{MAPPINGS}?type=jwt"))
    assert made[1]["id"] not in ids(MAPPINGS)
    assert not {one["id"] for one in mapped} & set(ids(f"{MAPPINGS}?type=oidc"))
    assert ids(f"{MAPPINGS}?idp_id={made[0]['id']}") == [mapped[0]["id"]]
    assert ids(f"{MAPPINGS}?name={mapped[1]['name']}") == [mapped[1]["id"]]
    # Page by page, with others between them.
    everything, path = [], f"{MAPPINGS}?type=jwt&limit=2"
    while path:
        answer = acme.manager.get(path).ok().json
        assert len(answer["mappings"]) <= 2
        everything += [entry["id"] for entry in answer["mappings"]]
        path = (answer["links"]["next"] or "").removeprefix(acme.server.base)
    assert everything == ids(f"{MAPPINGS}?type=jwt")


def test_a_manager_reaches_nothing_of_another_domain(acme, globex, ci):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    bare = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    mapping = make_mapping(acme, idp, **JOBS)
    before = acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"]
    eve = globex.manager
    changes = {"identity_provider": {"name": "stolen"}}
    eve.get(f"{PROVIDERS}/{idp['id']}").fails(403)
    eve.put(f"{PROVIDERS}/{idp['id']}", **changes).fails(403)
    eve.delete(f"{PROVIDERS}/{idp['id']}").fails(403)
    eve.get(f"{PROVIDERS}?domain_id={acme.id}").fails(403)
    eve.post(PROVIDERS, identity_provider=fields(domain_id=acme.id, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])).fails(403)
    eve.get(f"{MAPPINGS}/{mapping['id']}").fails(403)
    eve.put(f"{MAPPINGS}/{mapping['id']}", mapping={"bound_claims": {"repository": "globex/*"}}).fails(403)
    eve.delete(f"{MAPPINGS}/{mapping['id']}").fails(403)
    eve.get(f"{MAPPINGS}?domain_id={acme.id}").fails(403)
    eve.post(MAPPINGS, mapping=fields(idp_id=bare["id"], **JOBS)).fails(403)
    assert eve.get(f"{MAPPINGS}?idp_id={idp['id']}").ok()["mappings"] == []
    # Nor does its own identity provider reach out of its domain.
    own = make_provider(globex, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    eve.put(f"{PROVIDERS}/{own['id']}", identity_provider={"domain_id": acme.id}).fails(400)
    eve.post(MAPPINGS, mapping=fields(idp_id=own["id"], domain_id=acme.id, **JOBS)).fails(400)
    eve.post(MAPPINGS, mapping=fields(idp_id=own["id"], domain_id_claim="domain", **JOBS)).fails(400)
    eve.post(MAPPINGS, mapping=fields(idp_id=own["id"], token_project_id=acme.project, **JOBS)).fails(400)
    mapped = make_mapping(globex, own, **JOBS, token_project_id=globex.project)
    eve.put(f"{MAPPINGS}/{mapped['id']}", mapping={"token_project_id": acme.project}).fails(400)
    eve.put(f"{MAPPINGS}/{mapped['id']}", mapping={"idp_id": idp["id"]}).fails(400)
    assert acme.manager.get(f"/v4/connectors/{idp['id']}").ok()["connector"] == before
    for anonymous in (Api(acme.server).get(PROVIDERS), Api(acme.server).get(MAPPINGS)):
        anonymous.fails(401)


def test_nobody_but_a_manager(acme):
    user = {"name": "reader", "domain_id": acme.id, "password": "reader-of-the-tests"}
    reader = acme.admin.post("/users", user=user).ok()["user"]["id"]
    acme.admin.put(f"/domains/{acme.id}/users/{reader}/roles/{acme.admin.role('member')}").ok()
    member = Api(acme.server).as_user(reader, user["password"], {"domain": {"id": acme.id}})
    member.get(PROVIDERS).fails(403)
    member.post(PROVIDERS, identity_provider=fields(jwks_url="https://x.example")).fails(403)


@pytest.mark.parametrize(
    "given, where",
    [
        ({"domain_id": None}, "domain_id"),
        ({"oidc_client_secret": "s"}, "oidc_client_secret"),
        ({"oidc_scopes": ["openid"]}, "oidc_scopes"),
        ({"oidc_response_types": ["code"]}, "oidc_response_types"),
        ({"jwt_validation_pubkeys": ["no key"]}, "jwt_validation_pubkeys"),
        ({"jwt_validation_pubkeys": ['{"kty": "OKP", "crv": "Ed25519", "x": "a", "d": "a"}']}, "jwt_validation_pubkeys"),
        ({"provider_config": {"audiences": ["x"]}}, "provider_config/audiences"),
        ({"provider_config": {"unheard": "of"}}, "unheard"),
        ({"oidc_discovery_url": "https://other.example"}, "oidc_discovery_url"),
        ({"unheard": "of"}, "unheard"),
        ({"name": ""}, "name"),
        ({"oidc_client_id": "x", "jwt_validation_pubkeys": None, "oidc_response_types": ["id_token"]}, "oidc_response_types"),
        ({"oidc_client_id": "x", "jwt_validation_pubkeys": None, "oidc_response_mode": "form_post"}, "oidc_response_mode"),
        ({"oidc_client_id": "x"}, "jwt_validation_pubkeys"),
        ({"oidc_client_id": "x", "jwt_validation_pubkeys": None, "bound_issuer": "http://127.0.0.1:1"}, "issuer"),
    ],
)
def test_what_an_identity_provider_cannot_be(acme, ci, given, where):
    given = {"bound_issuer": ci.ISSUER, "jwt_validation_pubkeys": [pem(ci.key)], **given}
    answer = acme.manager.post(PROVIDERS, identity_provider=fields(**given)).fails(400)
    assert where in answer["error"]["message"], answer.told()


@pytest.mark.parametrize(
    "given, where",
    [
        ({"type": "oidc"}, "type"),
        ({"type": "saml"}, "type"),
        ({"domain_id": None}, "domain_id"),
        ({"id": "0" * 32}, "id"),
        ({"domain_id_claim": "domain"}, "domain_id_claim"),
        ({"token_restriction_id": "x"}, "token_restriction_id"),
        ({"token_project_id": "no-such"}, "token_project_id"),
        ({"allowed_redirect_uris": [BACK]}, "allowed_redirect_uris"),
        ({"oidc_scopes": ["openid"]}, "oidc_scopes"),
        ({"bound_audiences": None}, "bound_audiences"),
        ({"bound_claims": None}, "bound_claims"),
        ({"bound_claims": {"sub": {"regex": "("}}}, "bound_claims/sub"),
        ({"bound_claims": {"sub": {"like": "x"}}}, "bound_claims/sub"),
        ({"bound_claims": {"sub": "x"}, "bound_subject": "y"}, "bound_claims"),
        ({"user_name_claim": None}, "user_name_claim"),
        ({"user_name_claim": "/a/b"}, "user_name_claim"),
        ({"groups_claim": "/a/b"}, "groups_claim"),
        ({"unheard": "of"}, "unheard"),
    ],
)
def test_what_a_mapping_cannot_be(acme, ci, given, where):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    answer = acme.manager.post(MAPPINGS, mapping=fields(idp_id=idp["id"], **{**JOBS, **given})).fails(400)
    assert where in answer["error"]["message"], answer.told()
    acme.manager.get(f"{MAPPINGS}/{idp['id']}").fails(404)


def test_one_mapping_each(server, acme, ci):
    idp = make_provider(acme, bound_issuer=ci.ISSUER, jwt_validation_pubkeys=[pem(ci.key)])
    mapping = make_mapping(acme, idp, **JOBS)
    acme.manager.post(MAPPINGS, mapping=fields(idp_id=idp["id"], **JOBS)).fails(409)
    acme.manager.put(f"{PROVIDERS}/{idp['id']}", identity_provider={"default_mapping_name": "other"}).fails(400)
    token = exchange(server, idp, ci.token()).headers["X-Subject-Token"]
    acme.admin.validate(token).ok()
    acme.manager.delete(f"{MAPPINGS}/{mapping['id']}").ok()
    acme.admin.validate(token).fails(404)
    acme.manager.get(f"{MAPPINGS}/{mapping['id']}").fails(404)
    acme.manager.delete(f"{MAPPINGS}/{mapping['id']}").fails(404)
    assert exchange(server, idp, ci.token()).status_code == 401
    make_mapping(acme, idp, **JOBS)
    acme.manager.delete(f"{PROVIDERS}/{idp['id']}").ok()
    acme.admin.get(f"{PROVIDERS}/{idp['id']}").fails(404)
    assert exchange(server, idp, ci.token()).status_code == 404


def test_rules_that_say_more_are_no_mapping_of_claims(acme, ci):
    config = {"keys": ci.keys, "audiences": ["archstone"], "bound_claims": {"iss": ci.ISSUER}}
    plain = acme.connect("jwt", config, rules=[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}])
    fields = acme.manager.get(f"{MAPPINGS}/{plain['id']}").ok()["mapping"]
    assert fields["user_name_claim"] == "sub" and fields["bound_claims"] == {"iss": ci.ISSUER}
    rules = [{"local": [{"user": {"name": "job {0}"}}], "remote": [{"type": "sub"}]}]
    other = acme.connect("jwt", config, rules=rules)
    assert acme.manager.get(f"{PROVIDERS}/{other['id']}").ok()["identity_provider"]["default_mapping_name"] == other["name"]
    for answer in (
        acme.manager.get(f"{MAPPINGS}/{other['id']}"),
        acme.manager.put(f"{MAPPINGS}/{other['id']}", mapping={"groups_claim": "groups"}),
        acme.manager.delete(f"{MAPPINGS}/{other['id']}"),
    ):
        assert f"/v4/connectors/{other['id']}" in answer.fails(400)["error"]["message"]
    assert acme.manager.get(f"/v4/connectors/{other['id']}").ok()["connector"]["mapping"]["rules"] == rules
    listed = acme.manager.get(MAPPINGS).ok()["mappings"]
    assert other["id"] not in [one["id"] for one in listed] and plain["id"] in [one["id"] for one in listed]
