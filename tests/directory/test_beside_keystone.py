"""The same directory, seen by Archstone and by Python Keystone: the same ids, lists and answers."""

import hashlib
import json
import sqlite3

import pytest
from keystone.identity.id_generators import sha256

from directory.conftest import DOMAIN, LIVING, WEIRD, make_domain, start_archstone
from harness.api import Api
from harness.servers import PythonKeystone


#: A thousand of the ten: Python Keystone keeps each new id in a transaction of its own.
SOME = "(|(uid=u00*)(!(uid=u*)))"


@pytest.fixture(scope="module")
def server(tmp_path_factory, ldap):
    started = start_archstone(tmp_path_factory.mktemp("archstone") / "main")
    make_domain(started, ldap.options(user_filter=SOME))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def keystone(tmp_path_factory, ldap):
    """Python Keystone with the domain."""
    with PythonKeystone(tmp_path_factory.mktemp("keystone") / "main", LIVING) as started:
        make_domain(started, ldap.options(user_filter=SOME))
        yield started


@pytest.fixture(scope="module")
def original(keystone):
    return Api(keystone).as_admin()


def without_links(found):
    return {name: value for name, value in found.items() if name != "links"}


def by_id(answer, kind):
    return {one["id"]: without_links(one) for one in answer.ok()[kind]}


def test_every_user_and_group_is_the_same(admin, original):
    for kind in ("users", "groups"):
        path = f"/{kind}?domain_id={DOMAIN}"
        ours, theirs = by_id(admin.get(path), kind), by_id(original.get(path, timeout=250), kind)
        assert len(theirs) == {"users": 1003, "groups": 4}[kind] and ours == theirs


def test_ids_are_those_of_keystones_generator(admin):
    generate = sha256.Generator().generate_public_ID
    ids = {one["id"] for one in admin.get(f"/users?domain_id={DOMAIN}").ok()["users"]}
    for local_id in ("u00000", "u00999", WEIRD, "lučić"):
        theirs = generate({"domain_id": DOMAIN, "local_id": local_id, "entity_type": "user"})
        assert theirs == hashlib.sha256(f"{DOMAIN}user{local_id}".encode()).hexdigest()
        assert theirs in ids


@pytest.mark.parametrize(
    "query",
    [
        "name=User%2000001",
        "name=uSER%2000001",
        "name=u00001",
        "name=*",
        "name=Weird%20*)(uid%3D*",
        "name__startswith=User%200001",
        "name__istartswith=uSER%200001",
        "name__contains=er%200001",
        "name__icontains=ER%200001",
        "name__endswith=999",
        "enabled=false",
        "enabled=true&name=Disabled%20Person",
        "limit=5",
    ],
)
def test_filters_give_the_same(admin, original, query):
    path = f"/users?domain_id={DOMAIN}&{query}"
    ours, theirs = admin.get(path).ok(), original.get(path).ok()
    if "limit" in query:
        assert len(ours["users"]) == len(theirs["users"])
    else:
        assert by_id(ours, "users") == by_id(theirs, "users")


def ids(admin):
    """The public ids of some users and groups, by their names."""
    users = admin.get(f"/users?domain_id={DOMAIN}&name__startswith=User%200000").ok()["users"]
    groups = admin.get(f"/groups?domain_id={DOMAIN}").ok()["groups"]
    return {one["name"]: one["id"] for one in users + groups}


def test_memberships_are_the_same(admin, original):
    known = ids(original)
    for name in ("User 00001", "User 00009"):
        path = f"/users/{known[name]}/groups"
        assert by_id(admin.get(path), "groups") == by_id(original.get(path), "groups")
    # Where a group is a member, Python Keystone answers 404 and shows the group's entry.
    for name in ("staff", "many"):
        path = f"/groups/{known[name]}/users"
        assert by_id(admin.get(path), "users") == by_id(original.get(path), "users")
    for user in ("User 00001", "User 00002"):
        for group in ("staff", "outer"):
            path = f"/groups/{known[group]}/users/{known[user]}"
            assert admin.head(path).status == original.head(path).status


def test_requests_are_answered_with_the_same_status_and_message(admin, original):
    known = ids(original)
    user, group = known["User 00001"], known["staff"]
    local = {api: api.post("/users", user={"name": "local", "domain_id": "default"}).ok()["user"]["id"] for api in (admin, original)}
    for ask in (
        lambda api: api.post("/users", user={"name": "x", "domain_id": DOMAIN}),
        lambda api: api.patch(f"/users/{user}", user={"name": "x"}),
        lambda api: api.patch(f"/users/{user}", user={"domain_id": "default"}),
        lambda api: api.delete(f"/users/{user}"),
        lambda api: api.post("/groups", group={"name": "x", "domain_id": DOMAIN}),
        lambda api: api.patch(f"/groups/{group}", group={"name": "x"}),
        lambda api: api.delete(f"/groups/{group}"),
        lambda api: api.put(f"/groups/{group}/users/{user}"),
        lambda api: api.delete(f"/groups/{group}/users/{user}"),
        lambda api: api.get("/users/" + "0" * 64),
        lambda api: api.login({"name": "User 00001", "domain": {"id": DOMAIN}}, "wrong"),
        lambda api: api.login({"name": "Disabled Person", "domain": {"id": DOMAIN}}, "pw-gone"),
    ):
        ours, theirs = ask(admin), ask(original)
        assert (ours.status, ours["error"]["message"]) == (theirs.status, theirs["error"]["message"]), theirs.told()
    statuses = [api.put(f"/groups/{group}/users/{local[api]}").status for api in (admin, original)]
    assert statuses == [403, 403]


def test_what_is_kept_of_a_user_who_logs_in_is_the_same(server, keystone, admin, original):
    kept = []
    for api, one in ((admin, server), (original, keystone)):
        api.login({"name": "User 00006", "domain": {"id": DOMAIN}}, "pw-u00006").ok()
        with sqlite3.connect(one.directory / "keystone.db") as database:
            query = (
                "SELECT u.id, u.domain_id, u.enabled, u.default_project_id, u.extra, n.name, m.local_id, m.entity_type "
                "FROM user u JOIN nonlocal_user n ON n.user_id = u.id JOIN id_mapping m ON m.public_id = u.id "
                "WHERE n.name = 'User 00006'"
            )
            rows = database.execute(query).fetchall()
            kept.append([(*row[:4], json.loads(row[4]), *row[5:]) for row in rows])
    ours, theirs = kept
    assert len(theirs) == 1 and ours == theirs
