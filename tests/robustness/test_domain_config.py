"""Secrets in the configuration of domains and of the server."""

import pytest

from harness.api import Api

PASSWORD = "hunter2-of-the-directory"


@pytest.fixture(scope="module")
def server(target_class, tmp_path_factory):
    config = {"DEFAULT": {"debug": "true"}, "ldap": {"password": PASSWORD, "url": "ldap://of.the.server"}}
    with target_class(tmp_path_factory.mktemp("server") / "main", config) as started:
        yield started


@pytest.fixture(scope="module")
def domain(admin):
    return admin.post("/domains", domain={"name": "acme"}).ok()["domain"]["id"]


def test_a_password_never_comes_back(server, admin, domain):
    path = f"/domains/{domain}/config"
    url = {"url": "ldap://%(password)s@directory"}
    answers = [
        admin.put(path, config={"ldap": {"password": PASSWORD, **url}}).ok(),
        admin.patch(path, config={"ldap": {"password": PASSWORD + "1", "user": "reader"}}).ok(),
        admin.patch(f"{path}/ldap", config={"ldap": {"password": PASSWORD + "2"}}).ok(),
        admin.patch(f"{path}/ldap/password", config={"password": PASSWORD + "3"}).ok(),
        admin.put(path, config={"ldap": {"password": [PASSWORD], "colour": PASSWORD, **url}}).fails(403),
        admin.get(path).ok(),
        admin.get(f"{path}/ldap").ok(),
        admin.get(f"{path}/ldap/url").ok(),
        admin.get(f"{path}/ldap/password").fails(404),
    ]
    assert answers[-2]["config"] == url
    assert not [answer.told() for answer in answers if PASSWORD in answer.response.text]


def test_the_servers_own_password_is_no_default(admin):
    whole = admin.get("/domains/config/default").ok()
    assert whole["config"]["ldap"]["url"] == "ldap://of.the.server"
    admin.get("/domains/config/ldap/password/default").fails(403)
    for answer in (whole, admin.get("/domains/config/ldap/default").ok()):
        assert "password" not in answer["config"]["ldap"] and PASSWORD not in answer.response.text


def test_no_password_is_in_the_log(server, admin, domain):
    admin.put(f"/domains/{domain}/config", config={"ldap": {"password": PASSWORD}}).ok()
    assert PASSWORD not in server.log(last=10_000_000)


@pytest.mark.archstone_only
def test_an_option_that_is_off_can_be_deleted(admin, domain):
    """Python Keystone does not find an option whose value is false."""
    path = f"/domains/{domain}/config"
    admin.put(path, config={"ldap": {"use_tls": False, "url": "x"}}).ok()
    admin.delete(f"{path}/ldap/use_tls").ok()
    assert admin.get(path).ok()["config"] == {"ldap": {"url": "x"}}


@pytest.mark.archstone_only
@pytest.mark.parametrize("config", ["x", 5, True, ["ldap"], {"ldap": []}, {"": {"url": "x"}}, {"ldap": {"": "x"}}])
def test_what_is_no_configuration_is_refused(admin, domain, config):
    """Python Keystone answers 500 to an empty name."""
    for path in ("", "/ldap", "/ldap/url"):
        assert admin.patch(f"/domains/{domain}/config{path}", config=config).status in (400, 403)
    assert admin.put(f"/domains/{domain}/config", config=config).status in (400, 403)


def test_who_may_not_learns_nothing(server, admin, domain):
    admin.put(f"/domains/{domain}/config", config={"ldap": {"url": "ldap://inside"}}).ok()
    user = admin.post("/users", user={"name": "eve", "password": "eve"}).ok()["user"]["id"]
    eve = Api(server).as_user(user, "eve", "unscoped")
    for path in (f"/domains/{domain}/config", f"/domains/{domain}/config/ldap/url", "/domains/nowhere/config"):
        eve.get(path).fails(403)
    Api(server).get(f"/domains/{domain}/config").fails(401)
