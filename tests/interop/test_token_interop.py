"""Tokens and receipts of every kind, exchanged with Python Keystone 30 both ways.

Runs in an environment with keystone==30.0.0:

    python -m pytest tests/interop/test_token_interop.py

The Rust side is the `seal` example of archstone-token; ARCHSTONE_SEAL_EXAMPLE names one
already built. If ARCHSTONE names the archstone binary, `archstone token inspect` must
read Keystone's tokens as well.
"""

import base64
import datetime
import json
import os
import pathlib
import subprocess
import uuid

import pytest

pytest.importorskip("keystone", reason="needs keystone==30.0.0")

import keystone.conf  # noqa: E402
from keystone.common import fernet_utils, jwt_utils  # noqa: E402
from keystone.credential.providers import fernet as credential_fernet  # noqa: E402
from keystone.receipt import receipt_formatters  # noqa: E402
from keystone.token import token_formatters  # noqa: E402
from keystone.token.providers.jws import core as jws  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FIELDS = [
    "user_id", "methods", "audit_ids", "system", "domain_id", "project_id", "trust_id",
    "federated_group_ids", "identity_provider_id", "protocol_id", "access_token_id",
    "app_cred_id", "thumbprint", "issued_at", "expires_at",
]  # fmt: skip
RECEIPT_FIELDS = ["user_id", "methods", "issued_at", "expires_at"]


def hex_id():
    return uuid.uuid4().hex


def groups(*ids):
    return [{"id": group_id} for group_id in ids]


USERS = {
    "uuid": "488a5d7221ba453cb85a07b982334721",
    "sha256": "20e796c128096d229ba89bf412a53c3151d170a409c2c8c1dd8e414087b7ffae",
    "text": "jürgen@example.org",
}
FEDERATED = {"methods": ["mapped"], "identity_provider_id": "keycloak", "protocol_id": "openid"}
KINDS = {
    "UnscopedPayload": [{}, {"methods": ["token", "password"]}, {"methods": []}],
    "DomainScopedPayload": [{"domain_id": hex_id()}, {"domain_id": "default"}],
    "ProjectScopedPayload": [
        {"project_id": hex_id()},
        {"project_id": "service-project", "audit_ids": 2},
        {"project_id": "projekt-ß漢"},
        {"project_id": "p" * 64},
    ],
    "TrustScopedPayload": [
        {"project_id": hex_id(), "trust_id": hex_id()},
        {"project_id": None, "trust_id": hex_id()},
    ],
    "FederatedUnscopedPayload": [
        {**FEDERATED, "federated_group_ids": groups(hex_id(), "grp")},
        {**FEDERATED, "federated_group_ids": groups(*(hex_id() for _ in range(40)))},
    ],
    "FederatedProjectScopedPayload": [
        {
            **FEDERATED,
            "project_id": hex_id(),
            "identity_provider_id": hex_id(),
            "federated_group_ids": [],
        },
    ],
    "FederatedDomainScopedPayload": [
        {**FEDERATED, "domain_id": "default", "federated_group_ids": groups("g")},
        {**FEDERATED, "domain_id": hex_id(), "federated_group_ids": groups(hex_id())},
    ],
    "OauthScopedPayload": [
        {"methods": ["oauth1"], "project_id": hex_id(), "access_token_id": hex_id()},
    ],
    "SystemScopedPayload": [{"system": "all"}],
    "ApplicationCredentialScopedPayload": [
        {
            "methods": ["application_credential"],
            "project_id": hex_id(),
            "app_cred_id": hex_id(),
        },
    ],
    "Oauth2CredentialsScopedPayload": [
        {"methods": [], "project_id": hex_id(), "domain_id": hex_id(), "thumbprint": "dGh1bWI"},
        {"methods": [], "project_id": hex_id(), "domain_id": None, "thumbprint": "dGh1bWI"},
    ],
}
CASES = [
    pytest.param(kind, {**case, "user_id": user}, id=f"{kind}-{number}-{shape}")
    for kind, cases in KINDS.items()
    for number, case in enumerate(cases)
    for shape, user in USERS.items()
]


def audit_id():
    return base64.urlsafe_b64encode(uuid.uuid4().bytes)[:-2].decode()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def iso(time):
    return time.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expected(case):
    """All fields of a token with the given ones filled in."""
    token = dict.fromkeys(FIELDS)
    token.update(methods=["password"], issued_at=iso(now()))
    token.update(expires_at=iso(now() + datetime.timedelta(hours=1)))
    token.update(case)
    token["audit_ids"] = [audit_id() for _ in range(case.get("audit_ids", 1))]
    return token


@pytest.fixture(scope="session")
def seal_example():
    built = os.environ.get("ARCHSTONE_SEAL_EXAMPLE")
    if built:
        return built
    build = subprocess.run(
        ["cargo", "build", "--workspace", "--example", "seal",
         "--message-format=json"],
        cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    artifacts = [json.loads(line) for line in build.stdout.splitlines()]
    executables = [a["executable"] for a in artifacts if a.get("executable")]
    return executables[-1]


@pytest.fixture(scope="module")
def key_repository(tmp_path_factory):
    """A repository that Keystone set up and rotated, with Keystone configured for it."""
    directory = tmp_path_factory.mktemp("fernet-keys")
    directory.chmod(0o700)
    keystone.conf.configure()
    conf = keystone.conf.CONF
    conf([], project="keystone", default_config_files=[])
    for section in ("fernet_tokens", "fernet_receipts", "credential"):
        conf.set_override("key_repository", str(directory), group=section)
    utils = fernet_utils.FernetUtils(str(directory), 3, "fernet_tokens")
    utils.initialize_key_repository()
    utils.rotate_keys()
    yield directory
    conf.reset()


@pytest.fixture(scope="module")
def archstone(seal_example, key_repository):
    """Runs one action of the seal example on one line."""

    def run(action, line):
        done = subprocess.run(
            [seal_example, action, key_repository],
            input=line + "\n", capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    return run


def keystone_seals(kind, token):
    made = dict(token)
    issued_at = made.pop("issued_at")
    payload_class = getattr(token_formatters, kind)
    text = token_formatters.TokenFormatter().create_token(payload_class=payload_class, **made)
    return text, issued_at


@pytest.mark.parametrize("kind, case", CASES)
def test_keystone_opens_what_archstone_sealed(kind, case, archstone):
    token = expected(case)
    sealed = archstone("token", json.dumps(token))
    opened = token_formatters.TokenFormatter().validate_token(sealed)
    assert dict(zip(FIELDS, opened, strict=True)) == token


@pytest.mark.parametrize("kind, case", CASES)
def test_archstone_opens_what_keystone_sealed(kind, case, archstone):
    token = expected(case)
    sealed, _ = keystone_seals(kind, token)
    opened = json.loads(archstone("open-token", sealed))
    token["issued_at"] = iso(token_formatters.TokenFormatter.creation_time(sealed))
    assert opened == token


@pytest.mark.parametrize("kind, case", CASES)
def test_both_write_the_same_bytes(kind, case, archstone):
    token = expected(case)
    formatter = token_formatters.TokenFormatter()
    ours = formatter.unpack(archstone("token", json.dumps(token)))
    theirs = formatter.unpack(keystone_seals(kind, token)[0])
    assert ours == theirs


@pytest.mark.skipif("ARCHSTONE" not in os.environ, reason="ARCHSTONE names no binary")
@pytest.mark.parametrize("kind, case", CASES)
def test_archstone_token_inspect_reads_keystones_tokens(kind, case, key_repository, tmp_path):
    token = expected(case)
    sealed, _ = keystone_seals(kind, token)
    conf = tmp_path / "keystone.conf"
    conf.write_text(f"[fernet_tokens]\nkey_repository = {key_repository}\n")
    done = subprocess.run(
        [os.environ["ARCHSTONE"], "--config-file", conf, "token", "inspect", sealed],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    token["issued_at"] = iso(token_formatters.TokenFormatter.creation_time(sealed))
    opened = json.loads(done.stdout)
    assert {field: opened.get(field) for field in FIELDS} == token


@pytest.mark.parametrize("user_id", USERS.values(), ids=USERS)
def test_receipts_cross_both_ways(user_id, archstone):
    receipt = {
        "user_id": user_id,
        "methods": ["password"],
        "issued_at": iso(now()),
        "expires_at": iso(now() + datetime.timedelta(minutes=5)),
    }
    formatter = receipt_formatters.ReceiptFormatter()
    opened = formatter.validate_receipt(archstone("receipt", json.dumps(receipt)))
    assert dict(zip(RECEIPT_FIELDS, opened, strict=True)) == receipt

    sealed = formatter.create_receipt(user_id, ["password"], receipt["expires_at"])
    receipt["issued_at"] = iso(formatter.creation_time(sealed))
    assert json.loads(archstone("open-receipt", sealed)) == receipt


@pytest.fixture(scope="module")
def jws_keys(key_repository, tmp_path_factory):
    """A key pair that Keystone made, with Keystone configured for it."""
    directory = tmp_path_factory.mktemp("jws-keys")
    private, public = directory / "private", directory / "public"
    private.mkdir(mode=0o700)
    public.mkdir(mode=0o700)
    jwt_utils.create_jws_keypair(str(private / "private.pem"), str(public / "public.pem"))
    conf = keystone.conf.CONF
    conf.set_override("jws_private_key_repository", str(private), group="jwt_tokens")
    conf.set_override("jws_public_key_repository", str(public), group="jwt_tokens")
    return directory


@pytest.mark.parametrize("kind, case", CASES)
def test_signed_tokens_cross_both_ways(kind, case, seal_example, jws_keys):
    def archstone(action, line):
        done = subprocess.run(
            [seal_example, action, jws_keys],
            input=line + "\n", capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    token = expected(case)
    formatter = jws.JWSFormatter()
    opened = formatter.validate_token(archstone("jws", json.dumps(token)))
    assert dict(zip(FIELDS, opened, strict=True)) == token

    made = dict(token)
    made.pop("issued_at")
    sealed, token["issued_at"] = formatter.create_token(**made)
    assert json.loads(archstone("open-jws", sealed)) == token


def test_credentials_cross_both_ways(archstone):
    secret = '{"access": "a", "secret": "s3cr3t ☂"}'
    provider = credential_fernet.Provider()
    theirs, their_hash = provider.encrypt(secret)

    ours = json.loads(archstone("credential", json.dumps(secret)))
    assert provider.decrypt(ours["encrypted_blob"]) == secret
    assert ours["key_hash"] == their_hash
    assert archstone("open-credential", theirs.decode()) == secret


def test_keystone_and_archstone_rotate_the_same_repository(
    seal_example, archstone, key_repository
):
    token = expected({"user_id": USERS["uuid"]})
    before = archstone("token", json.dumps(token))
    rotated = subprocess.run(
        [seal_example, "rotate", key_repository], capture_output=True, text=True
    )
    assert rotated.returncode == 0, rotated.stderr
    after = archstone("token", json.dumps(token))
    fernet_utils.FernetUtils(str(key_repository), 5, "fernet_tokens").rotate_keys()
    formatter = token_formatters.TokenFormatter()
    for sealed in (before, after):
        assert formatter.validate_token(sealed)[0] == token["user_id"]
        assert json.loads(archstone("open-token", sealed))["user_id"] == token["user_id"]
