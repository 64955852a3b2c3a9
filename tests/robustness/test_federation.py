"""Attacks on federated logins: forged assertions, and what a mapping may reach."""

import pytest
import requests

from harness.api import Api
from harness.wire import request, send

pytestmark = pytest.mark.archstone_only

AUTH = "/v3/OS-FEDERATION/identity_providers/idp/protocols/mapped/auth"
VOUCHED = {"X-Idp-User": "ada"}
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "HTTP_X_IDP_USER"}]}]
TRUSTING = {"trusted_proxies": "127.0.0.1", "assertion_header_prefix": "X-Idp-"}


def believer(start, archstone, rules=RULES, **federation):
    """A server with one identity provider, whose assertions come as these options say."""
    server = start({"archstone": archstone, "federation": federation})
    admin = Api(server).as_admin()
    put(admin, "mappings/people", {"mapping": {"rules": rules}})
    put(admin, "identity_providers/idp", {"identity_provider": {"enabled": True}})
    put(admin, "identity_providers/idp/protocols/mapped", {"protocol": {"mapping_id": "people"}})
    return server, admin


def put(admin, path, body):
    admin("PUT", f"/OS-FEDERATION/{path}", json=body).ok()


def log_in(server, headers=VOUCHED, path=AUTH):
    return requests.get(server.base + path, headers=headers)


def test_a_trusted_proxy_is_believed(start):
    server, _ = believer(start, TRUSTING)
    assert log_in(server).status_code == 201


@pytest.mark.parametrize(
    "archstone",
    [
        {},
        {"assertion_header_prefix": "X-Idp-"},
        {"trusted_proxies": "127.0.0.1"},
        {"trusted_proxies": "", "assertion_header_prefix": "X-Idp-"},
        {"trusted_proxies": "10.0.0.0/8, 127.0.0.2", "assertion_header_prefix": "X-Idp-"},
        {**TRUSTING, "assertion_header_prefix": "X-Other-"},
    ],
)
def test_nobody_else_is_believed_whatever_they_send(start, archstone):
    server, _ = believer(start, archstone)
    forged = {**VOUCHED, "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-Ip": "127.0.0.1"}
    assert log_in(server, forged).status_code == 401


def test_an_attribute_that_comes_twice_logs_nobody_in(start):
    server, _ = believer(start, TRUSTING)
    for second in ("X-Idp-User", "X-Idp-User".lower()):
        data = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Idp-User: ada\r\n%s: eve\r\n\r\n"
        assert send(server.port, data % (AUTH.encode(), second.encode())).status == 400
    data = request("GET", AUTH, {"X-Idp-User": "ada", "X_Idp_User": "eve"})
    assert b'"name":"ada"' in send(server.port, data).body.replace(b" ", b"")


def test_the_sign_on_page_goes_to_trusted_dashboards_only(start):
    dashboard = "https://dash.example/auth/websso/?x=%22%3E%3Cscript%3E"
    server, _ = believer(start, TRUSTING, trusted_dashboard='https://dash.example/auth/websso/?x="><script>')
    path = "/v3/auth/OS-FEDERATION/identity_providers/idp/protocols/mapped/websso?origin="
    page = log_in(server, path=path + requests.utils.quote(dashboard, safe=""))
    assert page.status_code == 200, page.text
    assert page.headers["Content-Type"].startswith("text/html") and page.headers["Cache-Control"] == "no-store"
    assert 'action="https://dash.example/auth/websso/?x=&quot;&gt;&lt;script&gt;"' in page.text
    for origin in ("https://dash.example", "https://evil.example/", "https://dash.example.evil.example/auth/websso/"):
        assert log_in(server, path=path + origin).status_code == 401


def test_one_provider_cannot_log_in_the_user_of_another(start):
    """Same name, same domain, another provider: a conflict, not the other provider's user."""
    server, admin = believer(start, TRUSTING)
    domain_id = log_in(server).json()["token"]["user"]["domain"]["id"]
    put(admin, "identity_providers/other", {"identity_provider": {"enabled": True, "domain_id": domain_id}})
    put(admin, "identity_providers/other/protocols/mapped", {"protocol": {"mapping_id": "people"}})
    assert log_in(server, path=AUTH.replace("/idp/", "/other/")).status_code == 409
