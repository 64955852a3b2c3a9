"""Workloads that show a JWT of their platform: a CI's jobs, and a cluster's service accounts."""

import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from harness.api import Api
from harness.cli import OpenStack

pytestmark = pytest.mark.archstone_only

#: A job's user is its repository; those of the engineers' repository are engineers.
RULES = [
    {
        "local": [{"user": {"name": "{0}"}}],
        "remote": [{"type": "repository"}],
    },
    {
        "local": [{"group": {"name": "engineers", "domain": {"name": "DOMAIN"}}}],
        "remote": [{"type": "repository", "any_one_of": ["acme/engine"]}],
    },
]


class Ci:
    """A CI that signs what its jobs are."""

    ISSUER = "https://ci.example"

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        public = OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.keys = {"keys": [{**public, "kid": "ci", "use": "sig"}]}

    def token(self, algorithm="EdDSA", **claims):
        now = int(time.time())
        said = {
            "iss": self.ISSUER,
            "aud": "archstone",
            "sub": "repo:acme/engine:ref:refs/heads/main",
            "repository": "acme/engine",
            "ref": "refs/heads/main",
            "iat": now,
            "exp": now + 300,
            "jti": str(time.monotonic_ns()),
            **claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key, algorithm=algorithm, headers={"kid": "ci"})


@pytest.fixture(scope="module")
def ci():
    return Ci()


@pytest.fixture(scope="module")
def connector(acme, ci):
    return acme.connect("jwt", configured(ci), rules=RULES)


def configured(ci, **changes):
    return {
        "keys": ci.keys,
        "audiences": ["archstone"],
        "bound_claims": {
            "iss": ci.ISSUER,
            "repository": "acme/*",
            "ref": ["refs/heads/main", {"regex": "refs/tags/v[0-9]+"}],
        },
        **changes,
    }


def exchange(server, connector, token, scope=None):
    path = f"/v4/connectors/{connector['id']}/token"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(server.base + path, headers=headers, json={"scope": scope} if scope else {})


def test_a_job_exchanges_its_token(server, acme, ci, connector):
    answer = exchange(server, connector, ci.token(), acme.scope)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    assert token["project"]["id"] == acme.project and token["user"]["domain"]["id"] == acme.id
    assert "member" in [role["name"] for role in token["roles"]]
    other = ci.token(repository="acme/other", sub="repo:acme/other:ref:refs/heads/main")
    assert exchange(server, connector, other).status_code == 201
    assert exchange(server, connector, other, acme.scope).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"repository": "evil/engine"},
        {"repository": "acme/engine/deep"},
        {"repository": None},
        {"ref": "refs/heads/feature"},
        {"ref": "refs/tags/v1-rc"},
        {"aud": "somebody-else"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 9_999_999_999},
        {"cnf": {"jkt": "x"}},
        {"sub": ""},
    ],
)
def test_a_job_that_is_not_bound_gets_nothing(server, ci, connector, claims):
    answer = exchange(server, connector, ci.token(**claims))
    assert answer.status_code == 401, answer.text
    assert "token" not in answer.json()


def test_a_forged_token_gets_nothing(server, ci, connector):
    assert exchange(server, connector, Ci().token()).status_code == 401
    header, claims, signature = ci.token().split(".")
    for forged in (f"{header}.{claims}.", f"{header}.{claims}.AAAA", "e30.e30.e30", "x", header):
        assert exchange(server, connector, forged).status_code == 401, forged
    now = int(time.time())
    claims = {"iss": ci.ISSUER, "aud": "archstone", "sub": "x", "exp": now + 60, "repository": "acme/engine"}
    unsigned = jwt.encode(claims, None, algorithm="none")
    shared = jwt.encode(claims, ci.keys["keys"][0]["x"], algorithm="HS256", headers={"kid": "ci"})
    for forged in (unsigned, shared):
        assert exchange(server, connector, forged).status_code == 401


def test_a_token_that_may_be_used_once(server, acme, ci):
    connector = acme.connect("jwt", configured(ci, replay="refuse", max_age_seconds=120), rules=RULES)
    token = ci.token()
    assert exchange(server, connector, token).status_code == 201
    assert exchange(server, connector, token).status_code == 401
    assert exchange(server, connector, ci.token()).status_code == 201
    old = ci.token(iat=int(time.time()) - 600)
    assert exchange(server, connector, old).status_code == 401


def test_a_job_uses_openstack(server, acme, ci, connector):
    job = OpenStack(
        server,
        {
            "OS_AUTH_TYPE": "v3oidcaccesstoken",
            "OS_IDENTITY_PROVIDER": connector["identity_provider_id"],
            "OS_PROTOCOL": "jwt",
            "OS_ACCESS_TOKEN": ci.token(),
            "OS_PROJECT_ID": acme.project,
        },
    )
    assert job("token", "issue")["project_id"] == acme.project


def test_the_dialect_of_the_rust_client(server, ci, connector):
    url = f"{server.base}/v4/federation/identity_providers/{connector['identity_provider_id']}/jwt"
    headers = {"Authorization": f"Bearer {ci.token()}", "Openstack-Mapping": connector["name"]}
    answer = requests.post(url, headers=headers)
    assert answer.status_code == 201 and answer.headers["X-Subject-Token"], answer.text


def test_keys_that_the_issuer_publishes(server, acme, provider):
    provider.add_client("robot", client_secret="r", grant_types=["client_credentials"], scope="api")
    config = {
        "issuer": provider.issuer,
        "audiences": ["urn:archstone"],
        "bound_claims": {"client_id": "robot"},
    }
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "client_id"}]}]
    connector = acme.connect("jwt", config, rules=rules)
    grant = {"grant_type": "client_credentials", "scope": "api"}
    token = provider.tokens(("robot", "r"), **grant)["access_token"]
    assert exchange(server, connector, token).status_code == 201
    provider.rotate("of-the-workloads")
    token = provider.tokens(("robot", "r"), **grant)["access_token"]
    assert exchange(server, connector, token).status_code == 201


def test_a_cluster_whose_keys_are_given(server, acme, ci):
    claims = {
        "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": "system:serviceaccount:prod:deployer",
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "deployer"}},
    }
    config = {
        "keys": ci.keys,
        "audiences": ["archstone"],
        "bound_claims": {
            "iss": claims["iss"],
            "/kubernetes.io/namespace": "prod",
            "/kubernetes.io/serviceaccount/name": ["deployer", "ci-*"],
        },
    }
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}]
    connector = acme.connect("jwt", config, rules=rules)
    assert exchange(server, connector, ci.token(**claims)).status_code == 201
    elsewhere = {**claims, "kubernetes.io": {"namespace": "test", "serviceaccount": {"name": "deployer"}}}
    assert exchange(server, connector, ci.token(**elsewhere)).status_code == 401


@pytest.mark.parametrize(
    "changes, where",
    [
        ({"keys": {"keys": []}}, "config/keys"),
        ({"keys": None}, "config"),
        ({"issuer": "https://127.0.0.1", "keys": None}, "config/issuer"),
        ({"audiences": []}, "config/audiences"),
        ({"bound_claims": {}}, "config/bound_claims"),
        ({"algorithms": ["HS256"]}, "config/algorithms"),
        ({"bound_claims": {"sub": {"regex": "("}}}, "config/bound_claims/sub"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(acme, ci, changes, where):
    config = {name: value for name, value in configured(ci, **changes).items() if value is not None}
    message = acme.try_to_connect("jwt", config, rules=RULES).fails(400)["error"]["message"]
    assert where in message, message


def test_a_manager_sees_what_connectors_can_be_made_of(server, acme, connector):
    listed = acme.manager.get("/v4/connector_plugins").ok()["connector_plugins"]
    (jwt_plugin,) = [one for one in listed if one["name"] == "jwt"]
    assert jwt_plugin["kind"] == "token-connector" and "audiences" in jwt_plugin["config_schema"]["properties"]
    assert acme.manager.get("/v4/connector_plugins?domain_id=default").status == 403
    assert Api(server).get("/v4/connector_plugins").status == 401
