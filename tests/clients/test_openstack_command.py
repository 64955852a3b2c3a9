"""`openstack ...` for everything that the identity service holds."""

import pytest

from harness.cli import CommandFailed
from harness.servers import ADMIN_PASSWORD


def names(rows):
    return {row["Name"] for row in rows}


def assignments(openstack, *options):
    """Each assignment as (role, user, group, project, domain, system, inherited)."""
    columns = ("Role", "User", "Group", "Project", "Domain", "System", "Inherited")
    return {tuple(row[name] for name in columns) for row in openstack("role", "assignment", "list", *options)}


def test_the_admin_gets_a_token_and_the_catalog(openstack):
    token = openstack("token", "issue")
    assert token["project_id"] and token["user_id"]
    catalog = openstack("catalog", "list")
    assert [service["Type"] for service in catalog] == ["identity"]
    assert openstack("catalog", "show", "identity")["name"] == "keystone"


def test_a_token_is_revoked(openstack):
    token = openstack("token", "issue")["id"]
    openstack("token", "revoke", token)
    bearer = openstack.as_user(auth_type="token", token=token, project_name="admin", project_domain_id="default")
    with pytest.raises(CommandFailed):
        bearer("user", "list")


def test_a_wrong_password_is_told_plainly(openstack):
    stranger = openstack.as_user(username="admin", password="wrong", user_domain_id="default")
    with pytest.raises(CommandFailed, match="401"):
        stranger("token", "issue")


def test_users_are_created_shown_listed_changed_and_deleted(openstack):
    made = openstack("user", "create", "ursula", "--password", "x", "--email", "u@example.org", "--description", "bear")
    assert (made["name"], made["email"], made["enabled"]) == ("ursula", "u@example.org", True)
    assert openstack("user", "show", "ursula")["id"] == made["id"]
    assert "ursula" in names(openstack("user", "list"))
    openstack("user", "set", "ursula", "--name", "ulla", "--disable", "--email", "ulla@example.org")
    changed = openstack("user", "show", "ulla")
    assert (changed["id"], changed["enabled"], changed["email"]) == (made["id"], False, "ulla@example.org")
    assert "ulla" in {row["Name"] for row in openstack("user", "list", "--long") if not row["Enabled"]}
    openstack("user", "delete", "ulla")
    with pytest.raises(CommandFailed, match="ulla"):
        openstack("user", "show", "ulla")


def test_a_user_changes_their_own_password(openstack):
    openstack("user", "create", "petra", "--password", "first")
    petra = openstack.as_user(username="petra", password="first", user_domain_id="default")
    petra("user", "password", "set", "--original-password", "first", "--password", "second")
    with pytest.raises(CommandFailed, match="401"):
        petra("token", "issue")
    changed = openstack.as_user(username="petra", password="second", user_domain_id="default")
    assert changed("token", "issue")["user_id"]


def test_projects_are_created_shown_listed_changed_and_deleted(openstack):
    made = openstack("project", "create", "pine", "--description", "a tree", "--tag", "green", "--property", "tall=yes")
    assert (made["tags"], made["tall"], made["domain_id"]) == (["green"], "yes", "default")
    child = openstack("project", "create", "cone", "--parent", "pine")
    assert child["parent_id"] == made["id"]
    assert {"pine", "cone"} <= names(openstack("project", "list"))
    assert names(openstack("project", "list", "--tags", "green")) == {"pine"}
    assert openstack("project", "show", "pine", "--children")["subtree"] == {child["id"]: None}
    openstack("project", "set", "cone", "--name", "seed", "--tag", "brown", "--disable")
    changed = openstack("project", "show", "seed")
    assert (changed["enabled"], changed["tags"]) == (False, ["brown"])
    openstack("project", "delete", "seed", "pine")
    assert not {"pine", "seed"} & names(openstack("project", "list"))


def test_domains_are_created_shown_listed_changed_and_deleted(openstack):
    made = openstack("domain", "create", "dune", "--description", "sand")
    assert made["enabled"] and openstack("domain", "show", "dune")["id"] == made["id"]
    openstack("domain", "set", "dune", "--disable", "--name", "desert")
    assert not openstack("domain", "show", "desert")["enabled"]
    assert "desert" in names(openstack("domain", "list"))
    openstack("domain", "delete", "desert")
    assert "desert" not in names(openstack("domain", "list"))


def test_groups_hold_users(openstack):
    openstack("group", "create", "gang", "--description", "friends")
    openstack("user", "create", "gina")
    openstack("group", "add", "user", "gang", "gina")
    assert "gina in group gang" in openstack("group", "contains", "user", "gang", "gina")
    assert names(openstack("user", "list", "--group", "gang")) == {"gina"}
    assert names(openstack("group", "list", "--user", "gina")) == {"gang"}
    openstack("group", "set", "gang", "--name", "crew")
    openstack("group", "remove", "user", "crew", "gina")
    assert openstack("user", "list", "--group", "crew") == []
    openstack("group", "delete", "crew")
    assert "crew" not in names(openstack("group", "list"))
    openstack("user", "delete", "gina")


def test_roles_are_created_shown_listed_changed_and_deleted(openstack):
    openstack("domain", "create", "rdomain")
    made = openstack("role", "create", "ranger", "--description", "watches")
    openstack("role", "create", "local", "--domain", "rdomain")
    assert openstack("role", "show", "ranger")["id"] == made["id"]
    openstack("role", "set", "ranger", "--name", "guard", "--immutable")
    with pytest.raises(CommandFailed, match="immutable"):
        openstack("role", "delete", "guard")
    openstack("role", "set", "guard", "--no-immutable")
    assert {"admin", "member", "reader", "guard"} <= names(openstack("role", "list"))
    assert names(openstack("role", "list", "--domain", "rdomain")) == {"local"}
    openstack("role", "delete", "guard")
    assert "guard" not in names(openstack("role", "list"))


def test_one_role_implies_another(openstack):
    for name in ("baker", "eater"):
        openstack("role", "create", name)
    openstack("implied", "role", "create", "baker", "--implied-role", "eater")
    implied = {(row["Prior Role Name"], row["Implied Role Name"]) for row in openstack("implied", "role", "list")}
    assert {("baker", "eater"), ("admin", "manager"), ("member", "reader")} <= implied
    openstack("user", "create", "ida")
    openstack("role", "add", "baker", "--user", "ida", "--project", "admin")
    listed = assignments(openstack, "--user", "ida", "--names", "--effective")
    assert {row[0] for row in listed} == {"baker", "eater"}
    openstack("implied", "role", "delete", "baker", "--implied-role", "eater")
    assert {row[0] for row in assignments(openstack, "--user", "ida", "--names", "--effective")} == {"baker"}


def test_roles_are_assigned_on_projects_domains_and_the_system(openstack):
    openstack("project", "create", "plot")
    openstack("project", "create", "bed", "--parent", "plot")
    openstack("domain", "create", "estate")
    openstack("user", "create", "anna", "--password", "x")
    openstack("group", "create", "hands")
    openstack("group", "add", "user", "hands", "anna")
    openstack("role", "add", "reader", "--user", "anna", "--project", "plot")
    openstack("role", "add", "member", "--group", "hands", "--domain", "estate")
    openstack("role", "add", "reader", "--user", "anna", "--system", "all")
    openstack("role", "add", "manager", "--user", "anna", "--project", "plot", "--inherited")

    assert assignments(openstack, "--user", "anna", "--names") == {
        ("reader", "anna@Default", "", "plot@Default", "", "", False),
        ("manager", "anna@Default", "", "plot@Default", "", "", True),
        ("reader", "anna@Default", "", "", "", "all", False),
    }
    assert assignments(openstack, "--group", "hands", "--names") == {
        ("member", "", "hands@Default", "", "estate", "", False)
    }
    effective = assignments(openstack, "--user", "anna", "--names", "--effective")
    assert {(row[0], row[3]) for row in effective if row[3]} == {
        ("reader", "plot@Default"),
        ("manager", "bed@Default"),
        ("member", "bed@Default"),
        ("reader", "bed@Default"),
    }
    assert {(row[0], row[4]) for row in effective if row[4]} == {("member", "estate"), ("reader", "estate")}
    assert {row[1] for row in assignments(openstack, "--system", "all", "--names")} == {"admin@Default", "anna@Default"}
    assert {row[1] for row in assignments(openstack, "--project", "plot", "--names")} == {"anna@Default"}
    assert len(assignments(openstack, "--role", "manager", "--names")) == 1

    openstack("role", "remove", "reader", "--user", "anna", "--project", "plot")
    openstack("role", "remove", "manager", "--user", "anna", "--project", "plot", "--inherited")
    openstack("role", "remove", "reader", "--user", "anna", "--system", "all")
    assert assignments(openstack, "--user", "anna") == set()


def test_a_trust_is_given_used_and_taken_back(openstack):
    project = openstack("project", "create", "grove")
    openstack("user", "create", "truman", "--password", "x")
    openstack("user", "create", "trudy", "--password", "y")
    openstack("role", "add", "member", "--user", "truman", "--project", "grove")
    here = {"project_name": "grove", "project_domain_id": "default", "user_domain_id": "default"}
    truman = openstack.as_user(username="truman", password="x", **here)
    role = openstack("role", "show", "member")["id"]
    give = ("--project", project["id"], "--role", role, "--expiration", "2099-01-02T03:04:05")
    ids = [openstack("user", "show", name)["id"] for name in ("truman", "trudy")]
    made = truman("trust", "create", *give, "--impersonate", *ids)
    assert (made["is_impersonation"], made["trustor_user_id"], made["trustee_user_id"]) == (True, *ids)
    assert made["expires_at"] == "2099-01-02T03:04:05.000000Z"
    assert truman("trust", "show", made["id"])["project_id"] == project["id"]
    assert [row["ID"] for row in openstack("trust", "list")] == [made["id"]]
    assert [row["ID"] for row in truman("trust", "list", "--trustor", ids[0])] == [made["id"]]

    trudy = openstack.as_user(username="trudy", password="y", user_domain_id="default", trust_id=made["id"])
    token = trudy("token", "issue")
    assert (token["project_id"], token["user_id"]) == (project["id"], ids[0])
    with pytest.raises(CommandFailed, match="403"):
        trudy("application", "credential", "create", "kept for later")

    truman("trust", "delete", made["id"])
    assert truman("trust", "list", "--trustor", ids[0]) == []
    with pytest.raises(CommandFailed, match="401"):
        trudy("token", "issue")


def test_services_and_endpoints_make_the_catalog(openstack):
    openstack("region", "create", "north", "--description", "cold")
    service = openstack("service", "create", "--name", "nova", "--description", "Compute", "compute")
    endpoint = openstack("endpoint", "create", "--region", "north", "nova", "public", "http://nova.example/v2.1")
    assert endpoint["service_id"] == service["id"]
    assert [row["URL"] for row in openstack("endpoint", "list", "--service", "nova")] == ["http://nova.example/v2.1"]
    assert openstack("endpoint", "show", endpoint["id"])["interface"] == "public"
    assert {"keystone", "nova"} <= {row["Name"] for row in openstack("catalog", "list")}
    openstack("endpoint", "set", endpoint["id"], "--url", "http://nova.example/v3", "--disable")
    assert openstack("endpoint", "show", endpoint["id"])["url"] == "http://nova.example/v3"
    openstack("service", "set", "nova", "--name", "compute-service", "--disable")
    assert openstack("service", "show", "compute-service")["enabled"] is False
    assert "compute-service" in names(openstack("service", "list"))
    openstack("endpoint", "delete", endpoint["id"])
    openstack("service", "delete", "compute-service")
    openstack("region", "set", "north", "--description", "warm")
    assert openstack("region", "show", "north")["description"] == "warm"
    openstack("region", "delete", "north")
    assert [row["Region"] for row in openstack("region", "list")] == ["RegionOne"]


def test_credentials_are_kept(openstack):
    made = openstack("credential", "create", "--type", "cert", "admin", "the blob")
    assert openstack("credential", "show", made["id"])["blob"] == "the blob"
    assert {row["Type"] for row in openstack("credential", "list")} == {"cert"}
    openstack("credential", "delete", made["id"])
    assert openstack("credential", "list") == []


def test_an_application_credential_logs_in_and_is_taken_back(openstack):
    made = openstack("application", "credential", "create", "app", "--secret", "s3cret", "--role", "reader")
    assert (made["Unrestricted"], [role["name"] for role in made["Roles"]]) == (False, ["reader"])
    app = openstack.as_user(
        auth_type="v3applicationcredential", application_credential_id=made["ID"], application_credential_secret="s3cret"
    )
    token = app("token", "issue")
    assert token["project_id"] == openstack("project", "show", "admin")["id"]
    with pytest.raises(CommandFailed, match="403"):
        app("application", "credential", "create", "another")
    assert openstack("application", "credential", "show", "app")["ID"] == made["ID"]
    assert [row["Name"] for row in openstack("application", "credential", "list")] == ["app"]
    openstack("application", "credential", "delete", "app")
    with pytest.raises(CommandFailed):
        app("token", "issue")


def test_an_unrestricted_application_credential_makes_others(openstack):
    made = openstack("application", "credential", "create", "free", "--secret", "s3cret", "--unrestricted")
    app = openstack.as_user(
        auth_type="v3applicationcredential", application_credential_id=made["ID"], application_credential_secret="s3cret"
    )
    assert app("application", "credential", "create", "made by it")["Name"] == "made by it"
    openstack("application", "credential", "delete", "made by it")
    openstack("application", "credential", "delete", "free")


def test_an_application_credential_expires_and_has_rules(openstack):
    rules = '[{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]'
    options = ("--expiration", "2099-01-02T03:04:05", "--access-rules", rules)
    made = openstack("application", "credential", "create", "ruled", *options)
    assert made["Expires At"] == "2099-01-02T03:04:05.000000"
    listed = openstack("access", "rule", "list")
    assert [(row["Service"], row["Method"], row["Path"]) for row in listed] == [("compute", "GET", "/v2.1/servers")]
    assert openstack("access", "rule", "show", listed[0]["ID"])["Path"] == "/v2.1/servers"
    openstack("application", "credential", "delete", "ruled")
    openstack("access", "rule", "delete", listed[0]["ID"])
    assert openstack("access", "rule", "list") == []


@pytest.mark.parametrize("scope", [
    {"project_name": "admin", "project_domain_id": "default"},
    {"project_name": "admin", "project_domain_name": "Default"},
    {"domain_id": "default"},
    {"domain_name": "Default"},
    {"system_scope": "all"},
    {},
], ids=lambda scope: "+".join(scope) or "unscoped")  # fmt: skip
def test_a_process_of_its_own_logs_in(openstack, scope):
    if "domain_id" in scope or "domain_name" in scope:
        openstack("role", "add", "admin", "--user", "admin", "--domain", "default")
    user = openstack.as_user(username="admin", password=ADMIN_PASSWORD, user_domain_name="Default", **scope)
    done = user.process("token", "issue", "-f", "value", "-c", "id")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("gAAAA")


def test_ec2_keys_are_created_shown_listed_and_deleted(openstack):
    made = openstack("ec2", "credentials", "create")
    assert made["access"] and made["secret"] and made["project_id"]
    assert openstack("ec2", "credentials", "show", made["access"])["secret"] == made["secret"]
    assert made["access"] in {row["Access"] for row in openstack("ec2", "credentials", "list")}
    openstack("ec2", "credentials", "delete", made["access"])
    assert made["access"] not in {row["Access"] for row in openstack("ec2", "credentials", "list")}


def test_a_consumer_is_let_act_for_the_admin(openstack):
    consumer = openstack("consumer", "create", "--description", "a program")
    assert openstack("consumer", "show", consumer["id"])["description"] == "a program"
    keys = ["--consumer-key", consumer["id"], "--consumer-secret", consumer["secret"]]
    request = openstack("request", "token", "create", *keys, "--project", "admin")
    granted = openstack("request", "token", "authorize", "--request-key", request["id"], "--role", "member")
    shown = ["--request-key", request["id"], "--request-secret", request["secret"]]
    access = openstack("access", "token", "create", *keys, *shown, "--verifier", granted["oauth_verifier"])
    program = openstack.as_user(
        auth_type="v3oauth1",
        consumer_key=consumer["id"],
        consumer_secret=consumer["secret"],
        access_key=access["id"],
        access_secret=access["secret"],
    )
    assert program("token", "issue")["project_id"]
    with pytest.raises(CommandFailed, match="403"):
        program("user", "list")
    openstack("consumer", "delete", consumer["id"])
    with pytest.raises(CommandFailed):
        program("token", "issue")
