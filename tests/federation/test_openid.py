"""People of an OpenID provider: with a browser, with a device, with a token; and how their sessions end."""

import re
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from federation.conftest import CALLBACK, DASHBOARD
from federation.provider import Browser, Forms, key_pair

pytestmark = pytest.mark.archstone_only

CODE = {"grant_types": ["authorization_code"], "response_types": ["code"], "scope": "openid profile email groups"}
DEVICE = {
    "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
    "scope": "openid profile email groups",
}
SECRET = "s ecret+%:of the client"
SCOPES = ["openid", "profile", "email", "groups"]


@pytest.fixture(scope="module")
def client(server, provider):
    """Makes a client at the provider and gives the configuration of a connector for it: `client("shop", ...)`."""

    def make(client_id, config=None, **metadata):
        metadata = {"client_secret": SECRET, "redirect_uris": [server.base + CALLBACK], **CODE, **metadata}
        # `client_secret=None` makes one without a secret.
        metadata = {name: value for name, value in metadata.items() if value is not None}
        provider.add_client(client_id, **metadata)
        secret = {"client_secret": metadata["client_secret"]} if "client_secret" in metadata else {}
        return {"issuer": provider.issuer, "client_id": client_id, "scopes": SCOPES, **secret, **(config or {})}

    return make


def go(server, connector, browser, login="ada"):
    """What the browser comes back to the server with."""
    path = f"/v3/auth/OS-FEDERATION/identity_providers/{connector['identity_provider_id']}/protocols/openid/websso"
    answer = browser.session.get(f"{server.base}{path}?origin={DASHBOARD}", allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return browser.log_in(answer.headers["Location"], login, until=server.base + CALLBACK)


def come_back(browser, address):
    return browser.session.get(address, allow_redirects=False)


def token_in(page):
    assert page.status_code == 200, page.text
    (action, fields) = Forms(page.text).all[0]
    assert action == DASHBOARD
    return fields["token"]


def sign_on(server, connector, browser=None, login="ada"):
    """The token that the browser takes to the dashboard."""
    browser = browser or Browser()
    return token_in(come_back(browser, go(server, connector, browser, login)))


def who(domain, token):
    return domain.admin.validate(token).ok()["token"]


def test_somebody_signs_on_with_a_browser(server, acme, client, anybody):
    connector = acme.connect("oidc", client("browser"))
    token = sign_on(server, connector)
    body = who(acme, token)
    assert body["user"]["name"] == "ada" and body["user"]["domain"]["id"] == acme.id
    groups = body["user"]["OS-FEDERATION"]["groups"]
    assert [group["id"] for group in groups] == [acme.group]
    identity = {"methods": ["token"], "token": {"id": token}}
    scoped = anybody.authenticate({"identity": identity, "scope": acme.scope}).ok()
    assert [role["name"] for role in scoped["token"]["roles"] if role["name"] == "member"] == ["member"]
    assert who(acme, sign_on(server, connector, login="bob"))["user"]["name"] == "bob"
    assert who(acme, sign_on(server, connector))["user"]["id"] == body["user"]["id"]


def test_only_the_browser_that_began_can_finish_and_only_once(server, acme, client):
    connector = acme.connect("oidc", client("once"))
    browser = Browser()
    address = go(server, connector, browser)
    assert come_back(Browser(), address).status_code == 401
    # The state is used up, so that nobody tries again and again.
    assert come_back(browser, address).status_code == 401
    address = go(server, connector, browser)
    token_in(come_back(browser, address))
    assert come_back(browser, address).status_code == 401


@pytest.mark.parametrize("change", ["iss=http://127.0.0.1:1", "code=forged", "iss=&iss="])
def test_an_answer_that_somebody_changed_logs_nobody_in(server, acme, client, change):
    connector = acme.connect("oidc", client("changed"))
    browser = Browser()
    address = go(server, connector, browser)
    name = change.split("=")[0]
    assert come_back(browser, re.sub(f"([?&]){name}=[^&]*", rf"\g<1>{change}", address)).status_code == 401


def test_somebody_who_says_no_at_the_provider_is_not_logged_in(server, acme, client):
    connector = acme.connect("oidc", client("refused"))
    browser = Browser()
    address = go(server, connector, browser)
    state = re.search("state=([^&]*)", address)[1]
    answer = come_back(browser, f"{server.base}{CALLBACK}?error=access_denied&state={state}&iss={connector['config']['issuer']}")
    assert answer.status_code == 401


def test_two_domains_at_one_provider_share_nobody(server, acme, globex, client):
    config = client("shared")
    tokens = [who(domain, sign_on(server, domain.connect("oidc", config))) for domain in (acme, globex)]
    assert [body["user"]["domain"]["id"] for body in tokens] == [acme.id, globex.id]
    assert len({body["user"]["id"] for body in tokens}) == 2
    again = who(acme, sign_on(server, acme.connect("oidc", config)))
    assert again["user"]["id"] not in {body["user"]["id"] for body in tokens}


def test_a_provider_that_changes_its_keys_in_mid_flight(server, acme, client, provider):
    connector = acme.connect("oidc", client("rotating"))
    sign_on(server, connector)
    browser = Browser()
    address = go(server, connector, browser)
    provider.rotate("rotated")
    token_in(come_back(browser, address))


def sealed(alg, enc, public):
    """A client's metadata that ask for encrypted ID tokens."""
    jwks = {"keys": [{**public, "use": "enc", "kid": "enc"}]}
    return {"id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc, "jwks": jwks}


@pytest.mark.parametrize("alg, enc", [("RSA-OAEP", "A128CBC-HS256"), ("RSA-OAEP-256", "A256GCM")])
def test_an_encrypted_id_token(server, acme, client, alg, enc):
    pem, public = key_pair()
    name = f"sealed-{alg}"
    # The userinfo is signed and not encrypted: that is agreed on apart.
    metadata = {**sealed(alg, enc, public), "userinfo_signed_response_alg": "RS256"}
    connector = acme.connect("oidc", client(name, {"decryption_key": pem}, **metadata))
    assert connector["secrets"] == ["client_secret", "decryption_key"] and pem not in str(connector)
    assert who(acme, sign_on(server, connector))["user"]["name"] == "ada"
    # Where encryption was agreed on, nothing else will do.
    client(name)
    browser = Browser()
    assert come_back(browser, go(server, connector, browser)).status_code == 401


def test_signed_userinfo(server, acme, client):
    connector = acme.connect("oidc", client("signed-userinfo", userinfo_signed_response_alg="RS256"))
    assert who(acme, sign_on(server, connector))["user"]["OS-FEDERATION"]["groups"]


def test_every_way_to_tell_the_provider_who_we_are(server, acme, client):
    pem, public = key_pair()
    jwks = {"keys": [{**public, "use": "sig", "kid": "ours"}]}
    for config in (
        client("by-post", token_endpoint_auth_method="client_secret_post", config={"client_auth": "client_secret_post"}),
        client("public", client_secret=None, token_endpoint_auth_method="none"),
        client(
            "by-key",
            {"client_key": pem, "client_key_id": "ours"},
            client_secret=None,
            token_endpoint_auth_method="private_key_jwt",
            jwks=jwks,
        ),
    ):
        assert who(acme, sign_on(server, acme.connect("oidc", config)))["user"]["name"] == "ada"


def test_a_provider_that_wants_requests_pushed(server, acme, client, provider):
    config = client("pushed")
    provider.change(pushed=True)
    try:
        assert who(acme, sign_on(server, acme.connect("oidc", config)))["user"]["name"] == "ada"
    finally:
        provider.change(pushed=False)


def test_somebody_with_a_device(server, acme, client, anybody):
    connector = acme.connect("oidc", client("device", redirect_uris=[], response_types=[], **DEVICE))
    begun = anybody.post(f"/v4/connectors/{connector['id']}/device").ok()
    assert begun["user_code"] in begun["verification_uri_complete"]
    asked = {"device_code": begun["device_code"], "scope": acme.scope}
    assert anybody.post("/v4/connectors/device", **asked).status == 202
    page = Browser().log_in(begun["verification_uri_complete"], "ada")
    assert page.status_code == 200, page.text
    answer = anybody.post("/v4/connectors/device", **asked)
    assert answer.status == 201, answer.told()
    assert answer["token"]["user"]["name"] == "ada" and answer["token"]["project"]["id"] == acme.project
    assert anybody.post("/v4/connectors/device", **asked).status == 401


def test_a_client_whose_browser_comes_back_to_it(server, acme, client, anybody):
    """As the Rust client (`osc`) logs in."""
    back = "http://127.0.0.1:8899/callback"
    connector = acme.connect("oidc", client("osc", redirect_uris=[back]), redirect_uris=[back])
    begin = f"/v4/federation/identity_providers/{connector['identity_provider_id']}/auth"
    anybody.post(begin, redirect_uri="http://evil.example/callback").fails(400)
    begun = anybody.post(begin, redirect_uri=back).ok()
    address = Browser().log_in(begun["auth_url"], "ada", until=back)
    parameters = dict(parse_qsl(urlsplit(address).query))
    answer = anybody.post("/v4/federation/oidc/callback", **parameters, scope=acme.scope).ok()
    assert answer["token"]["user"]["name"] == "ada" and answer["token"]["project"]["id"] == acme.project
    assert anybody.post("/v4/federation/oidc/callback", **parameters).status == 401


@pytest.mark.parametrize("name", ["leaving", "leaving-sealed"])
def test_who_logs_out_at_the_provider_is_logged_out_here(server, acme, client, provider, name):
    config, metadata = {}, {}
    if name == "leaving-sealed":
        pem, public = key_pair()
        config = {"decryption_key": pem}
        metadata = sealed("RSA-OAEP-256", "A128GCM", public)
    connector = acme.connect("oidc", client(name, config))
    notices = f"{server.base}/v4/connectors/{connector['id']}/logout"
    client(name, backchannel_logout_uri=notices, **metadata)
    browser, other = Browser(), Browser()
    token = sign_on(server, connector, browser)
    bystander = sign_on(server, connector, other, login="bob")
    who(acme, token)
    time.sleep(1)  # a revocation ends what was issued before the present second
    browser.log_out(provider)
    assert acme.admin.validate(token).status == 404
    who(acme, bystander)
    for forged in ({"token": "x"}, {"logout_token": "forged"}, {"logout_token": "e30.e30.e30"}):
        assert requests.post(notices, data=forged).status_code == 400
    who(acme, bystander)


@pytest.mark.parametrize(
    "config, where",
    [
        ({"issuer": "ISSUER/"}, "config/issuer"),
        ({"issuer": "http://127.0.0.1:1"}, "config/issuer"),
        ({"issuer": "https://localhost"}, "config/issuer"),
        ({"userinfo_endpoint": "http://169.254.169.254/latest"}, "config/userinfo_endpoint"),
        ({"additional_servers": ["file:///etc/passwd"]}, "config/additional_servers/0"),
        ({"jwks_uri": "ISSUER/nothing"}, "config/jwks_uri"),
        ({"decryption_key": "no key"}, "config/decryption_key"),
        ({"client_auth": "private_key_jwt"}, "config/client_key"),
        ({"client_secret": ""}, "config/client_secret"),
        ({"groups_claims": "x"}, "config"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(acme, client, provider, config, where):
    config = {
        name: value.replace("ISSUER", provider.issuer) if isinstance(value, str) else value
        for name, value in config.items()
    }
    message = acme.try_to_connect("oidc", client("misconfigured", config)).fails(400)["error"]["message"]
    assert where in message and "no key" not in message, message
