"""What a proxy tells of clients, told by others: certificates, users of the web server, issuers."""

import hashlib

import pytest

from harness.api import Api
from harness.wire import send

pytestmark = pytest.mark.archstone_only

TRUSTING = {"trusted_proxies": "127.0.0.1", "assertion_header_prefix": "X-Idp-"}
STRANGERS = [
    {},
    {"assertion_header_prefix": "X-Idp-"},
    {"trusted_proxies": "127.0.0.1"},
    {"trusted_proxies": "10.0.0.0/8", "assertion_header_prefix": "X-Idp-"},
    {**TRUSTING, "assertion_header_prefix": "X-Other-"},
]
FORGED = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "SSL_CLIENT_CERT": "x", "REMOTE_USER": "admin"}
ISSUER = "CN=ca,O=acme"
# CN=alice,O=acme,emailAddress=alice@example.org
CERTIFICATE = "-----BEGIN%20CERTIFICATE-----%0AMIIB2TCCAX%2BgAwIBAgIUZnksV2KJ9h/FLSKyQEAV%2BxuB3AMwCgYIKoZIzj0EAwIw%0AQTEOMAwGA1UEAwwFYWxpY2UxDTALBgNVBAoMBGFjbWUxIDAeBgkqhkiG9w0BCQEW%0AEWFsaWNlQGV4YW1wbGUub3JnMCAXDTI2MTEyNjE1MDQ0MFoYDzIxMjYxMTAyMTUw%0ANDQwWjBBMQ4wDAYDVQQDDAVhbGljZTENMAsGA1UECgwEYWNtZTEgMB4GCSqGSIb3%0ADQEJARYRYWxpY2VAZXhhbXBsZS5vcmcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC%0AAATTl1bXZIQsweul1fKY0RkIizlGnEfpZAv5bp6SvN7bzQDYibJa2m6hP/0vHExg%0A5GvJx26OMqbrKWUGPmYzy9qqo1MwUTAdBgNVHQ4EFgQUiKlFd63UwWlAnW/SS432%0AMV9rvSMwHwYDVR0jBBgwFoAUiKlFd63UwWlAnW/SS432MV9rvSMwDwYDVR0TAQH/%0ABAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAsVUMcrqkO39AkXGBrSkvXUpRd2dV%0A/7toCMBiBQK4kMICICi6aqaK1FwbfYVINj5tFRG9tOpZODqqXna6emCjctJR%0A-----END%20CERTIFICATE-----%0A"
NAMED = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}]}]
UNNAMED = [{"local": [{"user": {"domain": {"id": "default"}, "name": ""}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}]}]
ISSUED = [
    {
        "local": [{"user": {"name": "{0}", "type": "local", "domain": {"id": "default"}}}],
        "remote": [{"type": "SSL_CLIENT_S_DN_CN"}],
    }
]
EPHEMERAL = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_S_DN_CN"}]}]


def told(start, archstone, rules, **config):
    """A server that is told of clients as these options say, and its admin."""
    config = {"archstone": archstone, "auth": {"external": "DefaultDomain"}, "tokenless_auth": {"trusted_issuer": ISSUER}, **config}
    server = start(config)
    admin = Api(server).as_admin()
    admin.put("/OS-FEDERATION/mappings/oauth2_mapping", mapping={"rules": rules}).ok()
    provider = "/OS-FEDERATION/identity_providers/" + hashlib.sha256(ISSUER.encode()).hexdigest()
    admin.put(provider, identity_provider={"enabled": True}).ok()
    admin.put(f"{provider}/protocols/x509", protocol={"mapping_id": "oauth2_mapping"}).ok()
    return server, admin


def alice_of(admin, **attributes):
    project = admin.post("/projects", project={"name": "red"}).ok()["project"]["id"]
    user = {"name": "alice", "default_project_id": project, **attributes}
    user = admin.post("/users", user=user).ok()["user"]["id"]
    role = admin.role("admin")
    admin.put(f"/projects/{project}/users/{user}/roles/{role}").ok()
    return user, project


def with_certificate(server, user, certificate=CERTIFICATE, **headers):
    form = {"grant_type": "client_credentials", "client_id": user}
    headers = {"X-Idp-Ssl-Client-Cert": certificate, **headers}
    return Api(server)("POST", "/OS-OAUTH2/token", headers=headers, data=form)


def by_the_web_server(server, name, **headers):
    body = {"auth": {"identity": {"methods": []}}}
    return Api(server)("POST", "/auth/tokens", headers={"X-Idp-Remote-User": name, **headers}, json=body)


def without_token(server, project, name="alice", **headers):
    headers = {"X-Idp-Ssl-Client-I-Dn": ISSUER, "X-Idp-Ssl-Client-S-Dn-Cn": name, "X-Project-Id": project, **headers}
    return Api(server)("GET", "/users", headers=headers)


def test_a_trusted_proxy_is_believed(start):
    server, admin = told(start, TRUSTING, NAMED)
    user, _ = alice_of(admin)
    token = with_certificate(server, user).ok()["access_token"]
    assert admin("GET", "/auth/tokens", headers={"X-Subject-Token": token}).ok()["token"]["user"]["id"] == user
    assert by_the_web_server(server, "alice").ok()["token"]["user"]["id"] == user


@pytest.mark.parametrize("archstone", STRANGERS)
def test_nobody_else_is_believed_whatever_they_send(start, archstone):
    server, admin = told(start, archstone, ISSUED)
    user, project = alice_of(admin)
    assert with_certificate(server, user, **FORGED).status == 401
    by_the_web_server(server, "admin", **FORGED).fails(401)
    without_token(server, project, **FORGED).fails(401)


def test_a_web_servers_user_counts_only_where_an_operator_says_so(start):
    server, _ = told(start, TRUSTING, NAMED, auth={})
    by_the_web_server(server, "admin").fails(401)


def test_a_certificate_that_comes_twice_logs_nobody_in(start):
    server, admin = told(start, TRUSTING, NAMED)
    user, _ = alice_of(admin)
    body = f"grant_type=client_credentials&client_id={user}".encode()
    data = b"POST /v3/OS-OAUTH2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    data += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n" % len(body)
    data += b"X-Idp-Ssl-Client-Cert: %s\r\nX-Idp-Ssl_Client-Cert: %s\r\n\r\n" % ((CERTIFICATE.encode(),) * 2)
    assert send(server.port, data + body).status == 400


@pytest.mark.parametrize("garbage", ["", "%", "%00", "A" * 60_000, "-----BEGIN CERTIFICATE-----", "MIIB", CERTIFICATE * 2, CERTIFICATE[:400], "ü"])
def test_garbage_for_a_certificate_logs_nobody_in(start, garbage):
    server, admin = told(start, TRUSTING, NAMED)
    user, _ = alice_of(admin)
    assert with_certificate(server, user, garbage.encode()).status in (400, 401, 431)
    assert with_certificate(server, user).status == 200


def test_a_mapping_must_say_who_a_certificate_is_for(start):
    """Python Keystone takes a mapping that says nothing for one that agrees."""
    server, admin = told(start, TRUSTING, UNNAMED)
    user, _ = alice_of(admin)
    assert with_certificate(server, user).status == 401


def test_a_certificate_does_not_skip_a_second_factor(start):
    server, admin = told(start, TRUSTING, NAMED)
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    user, project = alice_of(admin, options=rules)
    assert with_certificate(server, user).status == 401
    answer = by_the_web_server(server, "alice")
    assert answer.status == 401 and "X-Subject-Token" not in answer.headers
    without_token(server, project).fails(401)


def test_a_token_of_a_certificate_makes_no_wider_ones(start):
    server, admin = told(start, TRUSTING, NAMED)
    user, project = alice_of(admin)
    bound = Api(server, with_certificate(server, user).ok()["access_token"])
    login = {"identity": {"methods": ["token"], "token": {"id": bound.token}}, "scope": {"project": {"id": project}}}
    bound.post("/auth/tokens", auth=login).fails(403)
    bound.post(f"/users/{user}/application_credentials", application_credential={"name": "wide"}).fails(403)
    bound.post(f"/users/{user}/credentials/OS-EC2", tenant_id=project).fails(403)


def test_a_certificate_in_place_of_a_token_is_for_its_user_and_gives_no_roles_of_another(start):
    server, admin = told(start, TRUSTING, ISSUED)
    _, project = alice_of(admin)
    without_token(server, project).ok()
    without_token(server, project, "eve").fails(401)
    without_token(server, project, **{"X-Idp-Ssl-Client-I-Dn": "CN=eve"}).fails(401)
    # Somebody who has no account here has the roles of the mapping's groups, and there are none.
    admin.patch("/OS-FEDERATION/mappings/oauth2_mapping", mapping={"rules": EPHEMERAL}).ok()
    without_token(server, project).fails(403)


def test_a_disabled_issuer_opens_nothing(start):
    server, admin = told(start, TRUSTING, ISSUED)
    _, project = alice_of(admin)
    provider = hashlib.sha256(ISSUER.encode()).hexdigest()
    admin.patch(f"/OS-FEDERATION/identity_providers/{provider}", identity_provider={"enabled": False}).ok()
    assert without_token(server, project).status in (401, 403)
