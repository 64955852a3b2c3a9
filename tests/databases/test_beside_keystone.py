"""Archstone and Python Keystone 30 at the same time on one database, one keystone.conf and one set of keys.

Whatever one does, the other must know with the next request.
"""

import json
import time

import pytest

from databases.conftest import database_server
from harness.api import SYSTEM, UNSCOPED, Api
from harness.servers import Archstone, PythonKeystone

pytestmark = [pytest.mark.archstone_only, pytest.mark.timeout(600)]

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def both(request, tmp_path_factory):
    """A database that Python Keystone made and filled, and both servers on it: {name: Api of the administrator}."""
    directory = tmp_path_factory.mktemp(f"beside-{request.param}")
    config = {"database": {"connection": database_server(request.param).fresh()}, "cache": {"enabled": "false"}}
    keystone, archstone = PythonKeystone(directory, config), Archstone(directory, config)
    keystone.prepare().start()
    try:
        fill(Api(keystone).as_admin(), "keystone")
        archstone.archstone("db", "sync")
        servers = {"keystone": keystone, "archstone": archstone.start()}
        clients = {name: Api(server).as_admin() for name, server in servers.items()}
        fill(clients["archstone"], "archstone")
        yield clients
    finally:
        archstone.stop()
        keystone.stop()


def fill(admin, by):
    """Something of every kind."""
    domain = admin.post("/domains", domain={"name": f"of-{by}", "description": "Kündin №1"}).ok()["domain"]["id"]
    project = admin.post("/projects", project=dict(name=f"shop-{by}", domain_id=domain, tags=["a"])).ok()["project"]["id"]
    basement = dict(name=f"basement-{by}", domain_id=domain, parent_id=project, options={"immutable": False})
    admin.post("/projects", project=basement).ok()
    user = dict(name=f"Zoë-{by}", domain_id=domain, password=PASSWORD, email="z@x.org", options={"lock_password": False})
    user = admin.post("/users", user=user).ok()["user"]["id"]
    group = admin.post("/groups", group={"name": "staff", "domain_id": domain}).ok()["group"]["id"]
    admin.put(f"/groups/{group}/users/{user}").ok()
    member = admin.role("member")
    own = admin.post("/roles", role={"name": f"auditor-{by}", "domain_id": domain, "x": 1}).ok()["role"]["id"]
    admin.put(f"/roles/{own}/implies/{member}").ok()
    admin.put(f"/projects/{project}/groups/{group}/roles/{member}").ok()
    admin.put(f"/OS-INHERIT/domains/{domain}/users/{user}/roles/{member}/inherited_to_projects").ok()
    admin.put(f"/system/users/{user}/roles/{admin.role('reader')}").ok()
    admin.post("/credentials", credential={"type": "cert", "blob": f"sealed by {by}", "user_id": user}).ok()
    admin.post(f"/users/{user}/credentials/OS-EC2", tenant_id=project).ok()
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-sub"}]}]
    admin.put(f"/OS-FEDERATION/mappings/{by}", mapping={"rules": rules}).ok()
    admin.put(f"/OS-FEDERATION/identity_providers/{by}", identity_provider={"remote_ids": [f"https://{by}"]}).ok()
    admin.put(f"/OS-FEDERATION/identity_providers/{by}/protocols/openid", protocol={"mapping_id": by}).ok()
    partner = {"auth_url": f"https://{by}/auth", "sp_url": f"https://{by}/sp"}
    admin.put(f"/OS-FEDERATION/service_providers/{by}", service_provider=partner).ok()
    policy = admin.post("/policies", policy={"type": "application/json", "blob": f"{by}"}).ok()["policy"]["id"]
    region = admin.post("/regions", region={"id": f"region-{by}", "description": by, "x": [1]}).ok()["region"]["id"]
    service = admin.post("/services", service={"type": "compute", "name": by}).ok()["service"]["id"]
    url = "http://compute/v2.1/$(project_id)s"
    endpoint = dict(service_id=service, interface="public", url=url, region_id=region)
    endpoint = admin.post("/endpoints", endpoint=endpoint).ok()["endpoint"]["id"]
    admin.put(f"/policies/{policy}/OS-ENDPOINT-POLICY/endpoints/{endpoint}").ok()
    filters = {"name": f"public-{by}", "filters": {"interface": "public"}}
    admin.post("/OS-EP-FILTER/endpoint_groups", endpoint_group=filters).ok()
    limit = dict(service_id=service, resource_name="cores", default_limit=10, region_id=region)
    admin.post("/registered_limits", registered_limits=[limit]).ok()
    limit = dict(service_id=service, resource_name="cores", resource_limit=5, region_id=region, project_id=project)
    admin.post("/limits", limits=[limit]).ok()
    admin.post("/OS-OAUTH1/consumers", consumer={"description": f"consumer of {by}"}).ok()


def found(admin, kind, name):
    return admin.get(f"/{kind}s?name={name}").ok()[f"{kind}s"][0]


def without_address(value, base):
    """A body with the server's own address taken out, and lists in an order that does not depend on the database."""
    if isinstance(value, dict):
        return {key: without_address(each, base) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((without_address(each, base) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value.replace(base, "") if isinstance(value, str) else value


DIRECTIONS = [("keystone", "archstone"), ("archstone", "keystone")]
each_way = pytest.mark.parametrize(("first", "second"), DIRECTIONS, ids=lambda name: name)


@pytest.fixture
def person(both):
    """A user of this test alone with the member role on a project of its own: (id, project id)."""
    admin, name = both["keystone"], f"person-{time.monotonic_ns()}"
    user = admin.post("/users", user={"name": name, "password": PASSWORD}).ok()["user"]["id"]
    project = admin.post("/projects", project={"name": name}).ok()["project"]["id"]
    admin.put(f"/projects/{project}/users/{user}/roles/{admin.role('member')}").ok()
    return user, project


PLACES = [
    "users", "groups", "projects", "domains", "roles", "role_assignments?include_names", "credentials", "policies",
    "services", "endpoints", "regions", "registered_limits", "limits", "role_inferences", "OS-FEDERATION/mappings",
    "OS-FEDERATION/identity_providers", "OS-FEDERATION/identity_providers/{by}/protocols", "OS-OAUTH1/consumers",
    "OS-FEDERATION/service_providers", "OS-EP-FILTER/endpoint_groups",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_both_list_the_same(both, place):
    if "{by}" in place:
        for by in both:
            test_both_list_the_same(both, place.format(by=by))
        return
    told = {name: without_address(admin.get(f"/{place}").ok().json, admin.server.base) for name, admin in both.items()}
    assert told["archstone"] == told["keystone"]
    kind = place.partition("?")[0].rpartition("/")[2]
    assert len(told["archstone"][kind]) > 1 or kind == "protocols", "nothing that both servers made"


SCOPES = {
    "unscoped": lambda admin, by: UNSCOPED,
    "project": lambda admin, by: {"project": {"id": found(admin, "project", f"shop-{by}")["id"]}},
    "inherited": lambda admin, by: {"project": {"id": found(admin, "project", f"basement-{by}")["id"]}},
    "system": lambda admin, by: SYSTEM,
}


@each_way
@pytest.mark.parametrize("scope", SCOPES)
def test_each_validates_the_others_tokens(both, first, second, scope):
    for by in both:
        user = found(both[first], "user", f"Zoë-{by}")["id"]
        token = both[first].login(user, PASSWORD, SCOPES[scope](both[first], by)).ok().token
        told = {name: without_address(admin.validate(token).ok().json, admin.server.base) for name, admin in both.items()}
        assert told["archstone"] == told["keystone"]
        assert told[second]["token"]["user"]["id"] == user
        # And it may be used there, not only looked at.
        assert both[second].using(token).get(f"/users/{user}").status == 200


@each_way
def test_what_one_creates_the_other_shows_and_deletes(both, first, second):
    name = f"made-by-{first}"
    made = both[first].post("/users", user={"name": name, "password": PASSWORD, "email": "n@x.org"}).ok()["user"]
    shown = both[second].get(f"/users/{made['id']}").ok()["user"]
    assert without_address(shown, both[second].server.base) == without_address(made, both[first].server.base)
    both[second].login(made["id"], PASSWORD).ok()
    both[second].delete(f"/users/{made['id']}").ok()
    both[first].get(f"/users/{made['id']}").fails(404)


@each_way
def test_a_revoked_token_is_refused_by_the_other(both, first, second, person):
    user, project = person
    issuer, other = both[first], both[second]
    token = issuer.login(user, PASSWORD, {"project": {"id": project}}).ok().token
    other.validate(token).ok()
    issuer.using(token).delete("/auth/tokens", headers={"X-Subject-Token": token}).ok()
    other.validate(token).fails(404)
    other.using(token).get("/auth/projects").fails(401)


@each_way
def test_a_changed_password_counts_at_once(both, first, second, person):
    user, _ = person
    token = both[second].login(user, PASSWORD).ok().token
    both[first].using(token).post(f"/users/{user}/password", user={"password": "new", "original_password": PASSWORD}).ok()
    both[second].login(user, PASSWORD).fails(401)
    both[second].validate(token).fails(404)
    # Revocation by event counts whole seconds.
    time.sleep(1.1)
    fresh = both[second].login(user, "new").ok().token
    both[first].validate(fresh).ok()


@each_way
def test_a_removed_role_takes_the_tokens_scope(both, first, second, person):
    user, project = person
    token = both[second].login(user, PASSWORD, {"project": {"id": project}}).ok().token
    both[first].delete(f"/projects/{project}/users/{user}/roles/{both[first].role('member')}").ok()
    for admin in both.values():
        assert admin.validate(token).status in (401, 404)
    both[second].login(user, PASSWORD, {"project": {"id": project}}).fails(401)


@each_way
def test_a_disabled_user_is_out_everywhere(both, first, second, person):
    user, _ = person
    token = both[second].login(user, PASSWORD).ok().token
    both[first].patch(f"/users/{user}", user={"enabled": False}).ok()
    both[second].validate(token).fails(404)
    both[second].login(user, PASSWORD).fails(401)


@each_way
def test_delegations_cross(both, first, second, person):
    user, project = person
    mine = both[first].as_user(user, PASSWORD, {"project": {"id": project}})
    given = {"name": f"bot-{first}", "unrestricted": True}
    made = mine.post(f"/users/{user}/application_credentials", application_credential=given).ok()["application_credential"]
    secret = {"id": made["id"], "secret": made["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": secret}}
    token = both[second].authenticate(auth).ok().token
    both[first].validate(token).ok()
    trust = dict(
        trustor_user_id=user, trustee_user_id=user, project_id=project, impersonation=True, remaining_uses=2,
        roles=[{"name": "member"}],
    )  # fmt: skip
    trust = mine.post("/OS-TRUST/trusts", trust=trust).ok()["trust"]["id"]
    unscoped = mine.login(user, PASSWORD, UNSCOPED).ok().token
    auth = {"identity": {"methods": ["token"], "token": {"id": unscoped}}, "scope": {"OS-TRUST:trust": {"id": trust}}}
    by_trust = both[second].authenticate(auth).ok().token
    assert both[first].validate(by_trust).ok()["token"]["OS-TRUST:trust"]["id"] == trust
    both[first].authenticate(auth).ok()
    # Both its uses are gone.
    for admin in both.values():
        admin.authenticate(auth).fails(401)


@each_way
def test_secrets_sealed_by_one_are_opened_by_the_other(both, first, second, person):
    user, project = person
    made = both[first].post("/credentials", credential={"type": "cert", "blob": f"by {first}", "user_id": user}).ok()
    assert both[second].get(f"/credentials/{made['credential']['id']}").ok()["credential"]["blob"] == f"by {first}"
    mine = both[first].as_user(user, PASSWORD, {"project": {"id": project}})
    keys = mine.post(f"/users/{user}/credentials/OS-EC2", tenant_id=project).ok()["credential"]
    shown = both[second].get(f"/users/{user}/credentials/OS-EC2/{keys['access']}").ok()["credential"]
    assert shown["secret"] == keys["secret"]


def test_rotated_keys_are_read_by_both(both, person):
    user, _ = person
    archstone = both["archstone"].server
    before = both["keystone"].login(user, PASSWORD).ok().token
    archstone.archstone("fernet", "rotate")
    # Python Keystone reads its keys for every token; Archstone watches the directory.
    time.sleep(2)
    for issuer in both.values():
        token = issuer.login(user, PASSWORD).ok().token
        for admin in both.values():
            admin.validate(token).ok()
            admin.validate(before).ok()


@pytest.mark.parametrize("database", ["mariadb", "postgresql", "sqlite"])
def test_python_keystone_starts_on_a_database_of_archstones(database, new_database, tmp_path):
    config = {"database": {"connection": new_database(database)}}
    archstone = Archstone(tmp_path / "server", config).prepare()
    keystone = PythonKeystone(tmp_path / "server", config)
    # Its own tool finds every migration done, and fails where one is missing.
    keystone.manage("db_sync", "--check")
    servers = [archstone, keystone]
    try:
        clients = [Api(server.start()).as_admin() for server in servers]
        for number, admin in enumerate(clients):
            user = admin.post("/users", user={"name": f"user-{number}", "password": PASSWORD}).ok()["user"]["id"]
            for each in clients:
                each.login(user, PASSWORD).ok()
    finally:
        for server in servers:
            server.stop()
