"""`openstack ...` for limits, policies, and which endpoints projects have."""

import pytest

from harness.cli import CommandFailed


@pytest.fixture(scope="module")
def nova(openstack):
    """A service with a public endpoint."""
    service = openstack("service", "create", "compute", "--name", "nova")
    endpoint = openstack("endpoint", "create", "nova", "public", "http://nova/$(project_id)s")
    return service["id"], endpoint["id"]


def test_registered_limits_are_created_shown_listed_changed_and_deleted(openstack, nova):
    service, _ = nova
    made = openstack("registered", "limit", "create", "--service", "nova", "--default-limit", "10", "cores")
    assert (made["default_limit"], made["resource_name"], made["service_id"]) == (10, "cores", service)
    shown = openstack("registered", "limit", "show", made["id"])
    assert shown["region_id"] is None
    openstack("registered", "limit", "set", "--default-limit", "-1", "--description", "many", made["id"])
    changed = openstack("registered", "limit", "show", made["id"])
    assert (changed["default_limit"], changed["description"]) == (-1, "many")
    listed = openstack("registered", "limit", "list", "--service", "nova", "--resource-name", "cores")
    assert [row["ID"] for row in listed] == [made["id"]]
    openstack("registered", "limit", "delete", made["id"])
    with pytest.raises(CommandFailed):
        openstack("registered", "limit", "show", made["id"])


def test_limits_override_registered_ones(openstack, nova):
    openstack("project", "create", "lime")
    ram = openstack("registered", "limit", "create", "--service", "nova", "--default-limit", "10", "ram")
    made = openstack("limit", "create", "--service", "nova", "--project", "lime", "--resource-limit", "5", "ram")
    assert made["resource_limit"] == 5
    with pytest.raises(CommandFailed, match="409"):
        openstack("limit", "create", "--service", "nova", "--project", "lime", "--resource-limit", "6", "ram")
    openstack("limit", "set", "--resource-limit", "7", "--description", "sour", made["id"])
    shown = openstack("limit", "show", made["id"])
    assert (shown["resource_limit"], shown["description"]) == (7, "sour")
    assert [row["ID"] for row in openstack("limit", "list", "--project", "lime")] == [made["id"]]
    with pytest.raises(CommandFailed, match="403"):
        openstack("registered", "limit", "delete", ram["id"])
    openstack("limit", "delete", made["id"])
    openstack("registered", "limit", "delete", ram["id"])


def test_policies_are_created_shown_listed_changed_and_deleted(openstack, tmp_path):
    rules = tmp_path / "policy.json"
    rules.write_text('{"admin": "role:admin"}')
    made = openstack("policy", "create", str(rules), "--type", "application/json")
    assert openstack("policy", "show", made["id"])["rules"] == rules.read_text()
    assert [row["ID"] for row in openstack("policy", "list")] == [made["id"]]
    openstack("policy", "set", made["id"], "--type", "text/plain")
    assert openstack("policy", "show", made["id"])["type"] == "text/plain"
    openstack("policy", "delete", made["id"])
    assert openstack("policy", "list") == []


def test_a_project_has_the_endpoints_that_are_added_to_it(openstack, nova):
    _, endpoint = nova
    openstack("project", "create", "elm")
    openstack("endpoint", "add", "project", endpoint, "elm")
    assert [row["ID"] for row in openstack("endpoint", "list", "--project", "elm")] == [endpoint]
    assert [row["Name"] for row in openstack("endpoint", "list", "--endpoint", endpoint)] == ["elm"]
    openstack("endpoint", "remove", "project", endpoint, "elm")
    assert openstack("endpoint", "list", "--project", "elm") == []


def test_a_project_has_the_endpoints_of_its_groups(openstack, nova, tmp_path):
    service, endpoint = nova
    filters = tmp_path / "filters.json"
    filters.write_text('{"service_id": "%s"}' % service)
    openstack("project", "create", "ash")
    made = openstack("endpoint", "group", "create", "computes", str(filters), "--description", "nova")
    assert made["filters"] == {"service_id": service}
    openstack("endpoint", "group", "add", "project", made["id"], "ash")
    assert [row["ID"] for row in openstack("endpoint", "list", "--project", "ash")] == [endpoint]
    assert [row["Name"] for row in openstack("endpoint", "group", "list", "--project", "ash")] == ["computes"]
    # Without filters the command sends null for them, which Keystone refuses.
    openstack("endpoint", "group", "set", made["id"], "--name", "machines", "--filters", str(filters))
    assert openstack("endpoint", "group", "show", "machines")["id"] == made["id"]
    openstack("endpoint", "group", "remove", "project", made["id"], "ash")
    openstack("endpoint", "group", "delete", made["id"])
    assert openstack("endpoint", "group", "list") == []
