"""openstacksdk: each way to log in, and the identity proxy."""

import openstack.exceptions
import pytest
from keystoneauth1.exceptions.http import HttpError, Unauthorized

from harness.servers import ADMIN_PASSWORD

ADMIN = {"username": "admin", "password": ADMIN_PASSWORD, "user_domain_id": "default"}
SCOPES = {
    "project": {"project_name": "admin", "project_domain_id": "default"},
    "domain": {"domain_id": "default"},
    "system": {"system_scope": "all"},
    "unscoped": {},
}


@pytest.fixture(autouse=True)
def admin_of_the_default_domain(admin):
    user = admin.get("/users?name=admin").ok()["users"][0]["id"]
    role = admin.role("admin")
    admin.put(f"/domains/default/users/{user}/roles/{role}").ok()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_password_logs_in_to(connect, scope):
    connection = connect(**ADMIN, **SCOPES[scope])
    access = connection.session.auth.get_access(connection.session)
    assert access.username == "admin"
    assert bool(access.project_scoped) == (scope == "project")
    assert bool(access.domain_scoped) == (scope == "domain")
    assert bool(access.system_scoped) == (scope == "system")


@pytest.mark.parametrize("scope", ["project", "domain", "system"])
def test_an_unscoped_token_is_rescoped_to(connect, scope):
    unscoped = connect(**ADMIN)
    connection = connect(auth_type="token", token=unscoped.session.get_token(), **SCOPES[scope])
    access = connection.session.auth.get_access(connection.session)
    assert "admin" in access.role_names
    assert access.audit_id != unscoped.session.auth.get_access(unscoped.session).audit_id
    assert access.audit_chain_id == unscoped.session.auth.get_access(unscoped.session).audit_id


def test_an_application_credential_logs_in(connect, cloud):
    user = cloud.current_user_id
    made = cloud.identity.create_application_credential(user, "sdk", secret="s3cret", roles=[{"name": "reader"}])
    by_id = connect(
        auth_type="v3applicationcredential",
        application_credential_id=made.id,
        application_credential_secret="s3cret",
    )
    assert set(by_id.session.auth.get_access(by_id.session).role_names) == {"reader"}
    by_name = connect(
        auth_type="v3applicationcredential",
        application_credential_name="sdk",
        application_credential_secret="s3cret",
        username="admin",
        user_domain_id="default",
    )
    assert by_name.current_user_id == user
    cloud.identity.delete_application_credential(user, made)
    # Archstone refuses the token (401), Python Keystone does not find the credential (404).
    with pytest.raises((openstack.exceptions.HttpException, HttpError)):
        list(by_id.identity.regions())


def test_a_wrong_password_is_unauthorized(connect):
    with pytest.raises(Unauthorized):
        connect(username="admin", password="wrong", user_domain_id="default").session.get_token()


def test_the_catalog_finds_the_endpoint(cloud, server):
    assert cloud.session.get_endpoint(service_type="identity", interface="public", region_name="RegionOne") == server.url
    assert cloud.identity.get_endpoint_data().api_version[0] == 3


def test_nouns_are_created_found_changed_and_deleted(cloud):
    identity = cloud.identity
    domain = identity.create_domain(name="sdk-domain")
    project = identity.create_project(name="sdk-project", domain_id=domain.id, tags=["a"])
    user = identity.create_user(name="sdk-user", domain_id=domain.id, password="x", email="s@example.org")
    group = identity.create_group(name="sdk-group", domain_id=domain.id)
    role = identity.create_role(name="sdk-role")
    assert identity.find_user("sdk-user", domain_id=domain.id).id == user.id
    assert [found.id for found in identity.projects(domain_id=domain.id)] == [project.id]
    identity.update_user(user, email="new@example.org")
    assert identity.get_user(user).email == "new@example.org"
    identity.add_user_to_group(user, group)
    assert identity.check_user_in_group(user, group)
    identity.assign_project_role_to_user(project, user, role)
    identity.assign_domain_role_to_group(domain, group, role)
    assert identity.validate_user_has_project_role(project, user, role)
    assert len(list(identity.role_assignments(role_id=role.id))) == 2
    assert {found.id for found in identity.user_projects(user)} == {project.id}
    identity.unassign_project_role_from_user(project, user, role)
    identity.delete_role(role)
    identity.delete_group(group)
    identity.delete_user(user)
    identity.update_domain(domain, is_enabled=False)
    identity.delete_domain(domain)
    with pytest.raises(openstack.exceptions.NotFoundException):
        identity.get_project(project)


def test_services_and_endpoints_are_kept(cloud):
    identity = cloud.identity
    service = identity.create_service(name="sdk-service", type="sdk")
    region = identity.create_region(id="sdk-region")
    endpoint = identity.create_endpoint(service_id=service.id, interface="public", url="http://sdk", region_id=region.id)
    assert [found.url for found in identity.endpoints(service_id=service.id)] == ["http://sdk"]
    identity.delete_endpoint(endpoint)
    identity.delete_service(service)
    identity.delete_region(region)
    assert identity.find_service("sdk-service") is None


def test_a_missing_object_and_a_conflict_are_told_apart(cloud):
    with pytest.raises(openstack.exceptions.NotFoundException):
        cloud.identity.get_user("nowhere")
    cloud.identity.create_project(name="twice")
    with pytest.raises(openstack.exceptions.ConflictException):
        cloud.identity.create_project(name="twice")
