"""Options of `[archstone]` by which an operator departs from what Keystone does, each with and without."""

import pytest
import sqlalchemy

from harness.api import SYSTEM, Api

pytestmark = pytest.mark.archstone_only


def options(**chosen):
    return {"archstone": {name: "true" for name in chosen if chosen[name]}}


class Cast:
    """Ada, who reads a project by herself, and as a member of a group administers it."""

    def __init__(self, server, is_member=True):
        self.admin = Api(server).as_admin()
        self.project = self.made("projects", "project", name="red")
        self.group = self.made("groups", "group", name="staff")
        self.user = self.made("users", "user", name="ada", password="wonderland")
        if is_member:
            self.admin.put(f"/groups/{self.group}/users/{self.user}").ok()
        self.grant(f"users/{self.user}", "reader")
        self.grant(f"groups/{self.group}", "admin")

    def made(self, collection, member, **attributes):
        return self.admin.post(f"/{collection}", **{member: attributes}).ok()[member]["id"]

    def grant(self, whom, role):
        self.admin.put(f"/projects/{self.project}/{whom}/roles/{self.admin.role(role)}").ok()

    def login(self, **scope):
        return self.admin.as_user(self.user, "wonderland", scope or {"project": {"id": self.project}})

    def roles_of(self, client):
        return {role["name"] for role in self.admin.validate(client.token).ok()["token"]["roles"]}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("way", ["removal", "deletion"])
def test_tokens_go_on_without_the_roles_of_a_former_group(start, kept, way):
    cast = Cast(start(options(keep_tokens_of_former_members=kept)))
    ada = cast.login()
    assert "admin" in cast.roles_of(ada)
    ada.get("/users").ok()
    path = f"/groups/{cast.group}" + (f"/users/{cast.user}" if way == "removal" else "")
    cast.admin.delete(path).ok()
    if kept:
        assert cast.roles_of(ada) == {"reader"}
        ada.get("/users").fails(403)
    else:
        cast.admin.validate(ada.token).fails(404)


def test_a_token_ends_with_the_last_role_even_where_tokens_are_kept(start):
    cast = Cast(start(options(keep_tokens_of_former_members=True)))
    bob = cast.made("users", "user", name="bob", password="builder")
    cast.admin.put(f"/groups/{cast.group}/users/{bob}").ok()
    token = cast.admin.as_user(bob, "builder", {"project": {"id": cast.project}}).token
    cast.admin.delete(f"/groups/{cast.group}/users/{bob}").ok()
    cast.admin.validate(token).fails(404)


def test_users_see_their_own_roles_and_nobody_elses(start):
    cast = Cast(start(options(show_own_role_assignments=True)), is_member=False)
    ada = cast.login()
    own = f"/role_assignments?user.id={cast.user}"
    assert [entry["role"]["id"] for entry in ada.get(own).ok()["role_assignments"]] == [cast.admin.role("reader")]
    named = ada.get(f"{own}&effective&include_names").ok()["role_assignments"]
    assert {entry["user"]["name"] for entry in named} == {"ada"}
    admin = cast.admin.get("/users?name=admin").ok()["users"][0]["id"]
    for other in (
        "/role_assignments",
        f"/role_assignments?user.id={admin}",
        f"/role_assignments?group.id={cast.group}",
        f"/role_assignments?scope.project.id={cast.project}",
        f"{own}&scope.project.id={cast.project}&include_subtree",
    ):
        ada.get(other).fails(403)
    ada.get(f"{own}&group.id={cast.group}").fails(400)


def test_a_delegated_token_does_not_see_its_users_roles(start):
    cast = Cast(start(options(show_own_role_assignments=True)), is_member=False)
    credential = cast.login().post(
        f"/users/{cast.user}/application_credentials",
        application_credential={"name": "robot", "roles": [{"name": "reader"}]},
    )
    credential = credential.ok()["application_credential"]
    secret = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": secret}
    robot = cast.admin.using(cast.admin.authenticate({"identity": identity}).ok().token)
    robot.get(f"/role_assignments?user.id={cast.user}").fails(403)


def test_users_see_no_roles_unless_the_operator_wants_it(start):
    cast = Cast(start(), is_member=False)
    cast.login().get(f"/role_assignments?user.id={cast.user}").fails(403)


@pytest.mark.parametrize("renewed", [True, False])
def test_a_hash_is_renewed_at_the_next_login(start, renewed):
    server = start(options(renew_password_hashes=renewed))
    cast = Cast(server)
    before = password_of(server, cast.user)
    assert before.password_hash.startswith("$2b$04$")
    cast.login()
    assert password_of(server, cast.user) == before
    server.config["identity"]["password_hash_algorithm"] = "scrypt"
    del server.config["identity"]["password_hash_rounds"]
    server.write_config()
    server.restart()
    cast.admin.login(cast.user, "wrong").fails(401)
    assert password_of(server, cast.user) == before
    cast.login()
    after = password_of(server, cast.user)
    assert after.password_hash.startswith("$scrypt$" if renewed else "$2b$04$")
    assert (after.created_at_int, after.expires_at_int) == (before.created_at_int, before.expires_at_int)
    cast.login()
    assert password_of(server, cast.user) == after


def password_of(server, user):
    """The only row that a user has in `password`."""
    engine = sqlalchemy.create_engine(f"sqlite:///{server.directory}/keystone.db")
    query = "SELECT p.* FROM password p JOIN local_user u ON p.local_user_id = u.id WHERE u.user_id = :user"
    with engine.connect() as connection:
        (row,) = connection.execute(sqlalchemy.text(query), {"user": user}).all()
    engine.dispose()
    return row


def test_system_administrators_list_every_role_as_before(start):
    cast = Cast(start(options(show_own_role_assignments=True)))
    system = cast.admin.as_admin(SYSTEM)
    assert len(system.get("/role_assignments").ok()["role_assignments"]) > 2
