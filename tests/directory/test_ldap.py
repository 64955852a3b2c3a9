"""Users and groups of a domain that live in LDAP."""

import time

import pytest

from directory.conftest import DOMAIN, PEOPLE_COUNT, WEIRD, make_domain, start_archstone
from harness.api import ADMIN_PROJECT, Api
from harness.slapd import READER, Slapd, person

#: With those whom no loop makes: a disabled one, and two with unusual names.
LISTED = PEOPLE_COUNT + 3


def named(name, domain=DOMAIN):
    return {"name": name, "domain": {"id": domain}}


@pytest.fixture(scope="module")
def user(admin):
    """A user's id by name: `user("User 00001")`."""

    def find(name):
        found = admin.get("/users", params={"domain_id": DOMAIN, "name": name}).ok()["users"]
        assert [one["name"] for one in found] == [name]
        return found[0]["id"]

    return find


@pytest.fixture(scope="module")
def group(admin):
    """A group's id by name."""

    def find(name):
        return admin.get("/groups", params={"domain_id": DOMAIN, "name": name}).ok()["groups"][0]["id"]

    return find


def names(answer, kind="users"):
    return sorted(one["name"] for one in answer.ok()[kind])


def test_a_password_of_the_directory_logs_in(admin, user):
    for name, password in (
        ("User 00003", "pw-u00003"),
        ("Đorđe Lučić", "pw-lučić"),
        ("Weird *)(uid=*", "pw-weird"),
    ):
        token = admin.login(named(name), password).ok()["token"]
        assert token["user"]["id"] == user(name) and token["user"]["domain"]["id"] == DOMAIN
        again = admin.login(user(name), password).ok()["token"]
        assert again["user"] == token["user"]


@pytest.mark.parametrize(
    "who,password",
    [
        (named("User 00003"), "wrong"),
        (named("User 00003"), ""),
        (named("User 00003"), "pw-u00004"),
        (named("User 99999"), "pw-u00003"),
        (named("Disabled Person"), "pw-gone"),
        (named("*"), "pw-u00003"),
        (named("User 00003)(cn=*"), "pw-u00003"),
        (named("User 0000*"), "pw-u00003"),
        (named("u00003"), "pw-u00003"),
        (named(READER), "the-reader-of-the-tests"),
        (named("User 00003", "default"), "pw-u00003"),
        (named("nul\0"), "pw-u00003"),
        (named("\\2a"), "pw-u00003"),
        ({"id": "uid=u00003,ou=people,dc=example,dc=org"}, "pw-u00003"),
        ({"id": "u00003"}, "pw-u00003"),
    ],
    ids=str,
)
def test_nobody_else_logs_in(admin, who, password):
    admin.login(who, password).fails(401)


def test_users_are_found_by_id_and_name(admin, user):
    found = admin.get(f"/users/{user('User 00003')}").ok()["user"]
    assert found | {"links": None} == {
        "id": user("User 00003"),
        "name": "User 00003",
        "domain_id": DOMAIN,
        "enabled": True,
        "email": "u00003@example.org",
        "description": "Number 3",
        "options": {},
        "password_expires_at": None,
        "links": None,
    }
    assert admin.get(f"/users/{user('Disabled Person')}").ok()["user"]["enabled"] is False
    admin.get("/users/" + "0" * 64).fails(404)
    of = lambda **query: names(admin.get("/users", params={"domain_id": DOMAIN, **query}))
    assert of(name="user 00012") == ["User 00012"]
    assert of(name="User 0001*") == []
    assert of(name__startswith="User 0999") == [f"User 0999{digit}" for digit in range(10)]
    assert of(name__contains="user 0999") == []
    assert len(of(name__icontains="user 0999")) == 10
    assert of(name__endswith="*)(uid=*") == ["Weird *)(uid=*"]
    assert of(enabled="false") == ["Disabled Person"]


def test_everybody_is_listed(admin):
    began = time.monotonic()
    users = admin.get("/users", params={"domain_id": DOMAIN}).ok()
    took = time.monotonic() - began
    assert len(users["users"]) == LISTED and "truncated" not in users.json
    assert len({one["id"] for one in users["users"]}) == LISTED
    assert {"nameless", WEIRD, "elsewhere"}.isdisjoint(one["name"] for one in users["users"])
    print(f"\n{LISTED} users in {took:.2f} s")


def test_a_list_comes_in_pages(admin):
    seen, marker = [], None
    for _ in range(4):
        query = {"domain_id": DOMAIN, "limit": 100, **({"marker": marker} if marker else {})}
        page = [one["id"] for one in admin.get("/users", params=query).ok()["users"]]
        assert len(page) == 100
        seen += page
        marker = page[-1]
    assert len(set(seen)) == 400
    admin.get("/users", params={"domain_id": DOMAIN, "marker": "none"}).fails(404)


def test_groups_and_members(admin, user, group):
    assert names(admin.get("/groups", params={"domain_id": DOMAIN}), "groups") == ["many", "outer", "outermost", "staff"]
    staff = admin.get(f"/groups/{group('staff')}").ok()["group"]
    assert (staff["name"], staff["description"], staff["domain_id"]) == ("staff", "Who works here", DOMAIN)
    assert names(admin.get(f"/groups/{group('staff')}/users")) == [f"User {number:05}" for number in range(10)]
    assert names(admin.get(f"/users/{user('User 00001')}/groups"), "groups") == ["many", "staff"]
    assert names(admin.get(f"/groups/{group('outer')}/users")) == ["User 00020"]
    assert len(names(admin.get(f"/groups/{group('many')}/users"))) == 2000
    admin.head(f"/groups/{group('staff')}/users/{user('User 00009')}").ok()
    assert admin.head(f"/groups/{group('staff')}/users/{user('User 00010')}").status == 404
    admin.get("/groups/" + "0" * 64).fails(404)


def test_roles_reach_users_through_their_groups(admin, user, group):
    project = admin.post("/projects", project={"name": "shared", "domain_id": DOMAIN}).ok()["project"]["id"]
    admin.put(f"/projects/{project}/groups/{group('staff')}/roles/{admin.role('member')}").ok()
    scope = {"project": {"id": project}}
    token = admin.login(named("User 00004"), "pw-u00004", scope).ok()
    assert "member" in {role["name"] for role in token["token"]["roles"]}
    admin.login(named("User 00011"), "pw-u00011", scope).fails(401)
    admin.validate(token.token).ok()
    query = {"user.id": user("User 00004"), "effective": ""}
    found = admin.get("/role_assignments", params=query).ok()["role_assignments"]
    assert {one["scope"]["project"]["id"] for one in found} == {project}
    everybody = admin.get("/role_assignments", params={"scope.project.id": project, "effective": ""}).ok()
    holders = {one["user"]["id"] for one in everybody["role_assignments"]}
    assert len(holders) == 10 and user("User 00004") in holders


def test_what_a_user_is_given_hangs_on_them(admin, user):
    me, role = user("User 00005"), admin.role("member")
    project = admin.post("/projects", project={"name": "own", "domain_id": DOMAIN}).ok()["project"]["id"]
    admin.put(f"/projects/{project}/users/{me}/roles/{role}").ok()
    own = admin.as_user(named("User 00005"), "pw-u00005", {"project": {"id": project}})
    made = own.post(f"/users/{me}/application_credentials", application_credential={"name": "ci"}).ok()
    credential = made["application_credential"]
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": credential["id"], "secret": credential["secret"]},
    }
    token = admin.authenticate({"identity": identity}).ok()
    assert token["token"]["user"]["id"] == me and token["token"]["project"]["id"] == project
    # The same day, and later: logging in again makes no second user of them.
    assert admin.login(me, "pw-u00005").ok()["token"]["user"]["id"] == me


def test_the_directory_is_not_written_to(admin, user, group):
    me, staff = user("User 00003"), group("staff")
    admin.post("/users", user={"name": "new", "domain_id": DOMAIN}).fails(403)
    admin.patch(f"/users/{me}", user={"name": "other"}).fails(403)
    admin.delete(f"/users/{me}").fails(403)
    admin.post("/groups", group={"name": "new", "domain_id": DOMAIN}).fails(403)
    admin.patch(f"/groups/{staff}", group={"name": "other"}).fails(403)
    admin.delete(f"/groups/{staff}").fails(403)
    admin.put(f"/groups/{staff}/users/{user('User 00030')}").fails(403)
    admin.delete(f"/groups/{staff}/users/{me}").fails(403)
    own = admin.as_user(me, "pw-u00003")
    change = {"original_password": "pw-u00003", "password": "another"}
    own.post(f"/users/{me}/password", user=change).fails(403)
    own.post(f"/users/{me}/password", user={**change, "original_password": "wrong"}).fails(401)
    local = admin.post("/users", user={"name": "local", "domain_id": "default"}).ok()["user"]["id"]
    admin.put(f"/groups/{staff}/users/{local}").fails(403)
    admin.get(f"/users/{me}").ok()


def test_an_operators_limit_holds(server, admin, ldap):
    domain = make_domain(server, ldap.options(), "limited", "d1" * 16, list_limit=7)
    cut = admin.get("/users", params={"domain_id": domain}).ok()
    assert (len(cut["users"]), cut["truncated"]) == (7, True)
    cut = admin.get("/groups", params={"domain_id": domain}).ok()
    assert len(cut["groups"]) == 4 and "truncated" not in cut.json


@pytest.mark.parametrize("secure", ["starttls", "ldaps"])
def test_tls_is_believed_only_where_the_authority_vouches(server, admin, ldap, secure):
    url = ldap.ldaps_url if secure == "ldaps" else ldap.url
    options = ldap.options(url=url, use_tls=secure == "starttls", tls_cacertfile=ldap.ca_file)
    domain = make_domain(server, options, secure, ("d4" if secure == "ldaps" else "d5") * 16)
    admin.login(named("User 00003", domain), "pw-u00003").ok()
    for untrusted in (str(ldap.directory / "other.pem"), None):
        config = {"tls_cacertfile": untrusted} if untrusted else None
        if config:
            admin.patch(f"/domains/{domain}/config", config={"ldap": config}).ok()
        else:
            admin.delete(f"/domains/{domain}/config/ldap/tls_cacertfile").ok()
        wait_for(lambda: admin.login(named("User 00003", domain), "pw-u00003").status == 503)
    admin.patch(f"/domains/{domain}/config", config={"ldap": {"tls_req_cert": "never"}}).ok()
    admin.login(named("User 00003", domain), "pw-u00003").fails(503)


def test_a_changed_configuration_counts_within_two_seconds(server, admin, ldap):
    domain = make_domain(server, ldap.options(), "changing", "d6" * 16)
    count = lambda: len(admin.get("/users", params={"domain_id": domain}).ok()["users"])
    assert count() == LISTED
    admin.patch(f"/domains/{domain}/config", config={"ldap": {"user_filter": "(|(uid=u00001)(cn=User 00002))"}}).ok()
    wait_for(lambda: count() == 2, 2)
    admin.login(named("User 00003", domain), "pw-u00003").fails(401)
    admin.login(named("User 00002", domain), "pw-u00002").ok()
    admin.patch(f"/domains/{domain}/config", config={"ldap": {"password": "wrong"}}).ok()
    wait_for(lambda: admin.get("/users", params={"domain_id": domain}).status == 503, 2)
    admin.patch(f"/domains/{domain}/config", config={"ldap": {"user_filter": "(cn=a"}}).ok()
    time.sleep(1.1)
    admin.get("/users", params={"domain_id": domain}).fails(503)
    admin.delete(f"/domains/{domain}/config").ok()
    wait_for(lambda: admin.get("/users", params={"domain_id": domain}).status == 200, 2)
    # Of those who logged in, what was kept is in the database.
    assert names(admin.get("/users", params={"domain_id": domain})) == ["User 00002"]


def wait_for(true, limit_s=3.0):
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_directory_that_is_down_hurts_its_own_domain_only(server, admin, tmp_path):
    with Slapd(tmp_path / "slapd", [person("eve", "Eve", "pw-eve")]) as own:
        domain = make_domain(server, own.options(), "falling", "d7" * 16)
        eve = admin.as_user(named("Eve", domain), "pw-eve")
        eve_id = admin.get("/users", params={"domain_id": domain}).ok()["users"][0]["id"]
        own.stop()
        began = time.monotonic()
        for _ in range(20):
            admin.login(named("Eve", domain), "pw-eve").fails(503)
            admin.get("/users", params={"domain_id": domain}).fails(503)
            admin.get(f"/users/{eve_id}").fails(503)
            admin.login(named("User 00003"), "pw-u00003").ok()
            Api(server).as_admin()
        assert time.monotonic() - began < 20
        assert eve.get(f"/users/{eve_id}").status == 503
        assert admin.get("/role_assignments", params={"effective": ""}).status == 200
        own.start()
        wait_for(lambda: admin.login(named("Eve", domain), "pw-eve").status == 201)
        eve.get(f"/users/{eve_id}").ok()


def test_a_silent_directory_does_not_hold_others_up(server, admin):
    """What listens there takes connections and never says a word."""
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        options = {"url": f"ldap://127.0.0.1:{silent.getsockname()[1]}", "suffix": "dc=x"}
        domain = make_domain(server, options, "silent", "d8" * 16)
        waiting = [
            threading.Thread(target=lambda: Api(server).login(named("Eve", domain), "x").fails(503)) for _ in range(30)
        ]
        for thread in waiting:
            thread.start()
        began = time.monotonic()
        for _ in range(10):
            admin.login(named("User 00003"), "pw-u00003").ok()
            Api(server).as_admin()
        assert time.monotonic() - began < 5
        for thread in waiting:
            thread.join()


def test_a_server_that_was_not_granted_is_not_connected_to(tmp_path, ldap):
    from directory.conftest import install_plugin

    server = start_archstone(tmp_path / "server")
    try:
        domain = make_domain(server, ldap.options())
        admin = Api(server).as_admin()
        admin.login(named("User 00003", domain), "pw-u00003").ok()
        for grant in ({"private_networks": []}, {"servers": ["ldap.example:389"]}):
            install_plugin(server, **grant)
            wait_for(lambda: admin.login(named("User 00003", domain), "pw-u00003").status == 503, 10)
            install_plugin(server)
            wait_for(lambda: admin.login(named("User 00003", domain), "pw-u00003").status == 201, 10)
    finally:
        server.stop()


def in_a_file(tmp_path, options):
    """A server with a domain named `filed`, which has its configuration in a file."""
    files = tmp_path / "domains"
    files.mkdir()
    lines = "\n".join(f"{name} = {value}" for name, value in options.items())
    (files / "keystone.filed.conf").write_text(f"[identity]\ndriver = ldap\n[ldap]\n{lines}\n")
    config = {"identity": {"domain_specific_drivers_enabled": "true", "domain_config_dir": str(files)}}
    return start_archstone(tmp_path / "server", config | {"identity": config["identity"] | {"domain_configurations_from_database": "false"}})


@pytest.mark.parametrize("nested,above,within", [("true", 4, 11), ("false", 2, 1)])
def test_groups_within_groups_count_where_they_should(tmp_path, ldap, nested, above, within):
    server = in_a_file(tmp_path, ldap.options(group_ad_nesting=nested))
    try:
        admin = Api(server).as_admin()
        domain = admin.post("/domains", domain={"name": "filed"}).ok()["domain"]["id"]
        token = admin.login(named("User 00001", domain), "pw-u00001").ok()
        groups = admin.get(f"/users/{token['token']['user']['id']}/groups").ok()["groups"]
        assert len(groups) == above
        outer = admin.get("/groups", params={"domain_id": domain, "name": "outer"}).ok()["groups"][0]["id"]
        assert len(admin.get(f"/groups/{outer}/users").ok()["users"]) == within
    finally:
        server.stop()


def test_secrets_stay_where_they_are(server, admin):
    admin.login(named("User 00003"), "pw-u00003-but-wrong").fails(401)
    text = server.log(last=50_000_000)
    for secret in ("the-reader-of-the-tests", "pw-u00003", "pw-eve"):
        assert secret not in text
    assert "u00003@example.org" not in text


def test_nobody_of_the_directory_is_an_administrator(admin):
    admin.login(named("User 00003"), "pw-u00003", ADMIN_PROJECT).fails(401)
