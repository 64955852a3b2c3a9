"""Lists of users on two nodes that remember whom they read: each list tells what every node has written before."""

import pytest

from harness.api import Api
from harness.servers import Archstone

pytestmark = pytest.mark.archstone_only

ROUNDS = 25


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Two nodes' administrators, and a domain with some users that both nodes have listed."""
    directory = tmp_path_factory.mktemp("lists") / "shared"
    first = Archstone(directory, {}).prepare().start()
    second = Archstone(directory, {})
    second.config = first.config
    second.start()
    admin = Api(first).as_admin()
    yield admin, Api(second, admin.token)
    second.stop()
    first.stop()


@pytest.fixture(scope="module")
def domain(nodes):
    writer, reader = nodes
    domain = writer.post("/domains", domain={"name": "listed"}).ok()["domain"]["id"]
    for number in range(20):
        writer.post("/users", user={"name": f"user {number}", "domain_id": domain, "password": "pw"}).ok()
    for node in nodes:
        assert len(listed(node, domain)) == 20
    return domain


def listed(node, domain):
    return {user["id"]: user for user in node.get(f"/users?domain_id={domain}").ok()["users"]}


def test_a_list_tells_what_another_node_has_just_written(nodes, domain):
    writer, reader = nodes
    someone = next(iter(listed(reader, domain)))
    for number in range(ROUNDS):
        writer.patch(f"/users/{someone}", user={"email": f"{number}@example.org"}).ok()
        assert listed(reader, domain)[someone]["email"] == f"{number}@example.org"

        new = writer.post("/users", user={"name": f"new {number}", "domain_id": domain}).ok()["user"]["id"]
        assert listed(reader, domain)[new]["name"] == f"new {number}"

        writer.delete(f"/users/{new}").ok()
        assert new not in listed(reader, domain)


def test_options_and_expiry_are_told_as_for_one_user(nodes, domain):
    writer, reader = nodes
    options = {"lock_password": True, "multi_factor_auth_rules": [["password", "totp"]]}
    someone = writer.post("/users", user={"name": "with options", "domain_id": domain, "options": options}).ok()["user"]["id"]
    # Twice: once read, once remembered.
    for _ in range(2):
        alone = reader.get(f"/users/{someone}").ok()["user"]
        assert listed(reader, domain)[someone] == alone
        assert alone["options"] == options


def test_filters_and_pages_choose_among_the_remembered(nodes, domain):
    writer, reader = nodes
    everybody = listed(reader, domain)
    off = writer.post("/users", user={"name": "off", "domain_id": domain, "enabled": False}).ok()["user"]["id"]
    disabled = reader.get(f"/users?domain_id={domain}&enabled=false").ok()["users"]
    assert [user["id"] for user in disabled] == [off]
    assert reader.get(f"/users?domain_id={domain}&name=user 3").ok()["users"][0]["name"] == "user 3"

    path, pages = f"/users?domain_id={domain}&limit=7", []
    while path:
        page = reader.get(path).ok()
        pages.append([user["id"] for user in page["users"]])
        path = (page["links"]["next"] or "").partition("/v3")[2]
    assert [len(page) for page in pages[:-1]] == [7] * (len(pages) - 1)
    assert sorted(sum(pages, [])) == sorted([*everybody, off])


def test_an_attribute_named_as_one_of_the_schema_is_told_once(nodes, domain):
    writer, reader = nodes
    body = {"name": "odd", "domain_id": domain, "links": "mine", "federated_at": "home"}
    odd = writer.post("/users", user=body).ok()["user"]["id"]
    text = reader.get(f"/users?domain_id={domain}&name=odd").ok().response.text
    assert text.count('"links"') == 2, "one of the user, one of the list"
    assert listed(reader, domain)[odd]["links"]["self"].endswith(f"/v3/users/{odd}")
    assert listed(reader, domain)[odd]["federated_at"] == "home"
