"""A WSGI service behind keystonemiddleware.auth_token, as Nova and the others are."""

import json
import time

import pytest
import webob
import webob.dec
from keystonemiddleware import auth_token

from harness.api import Api
from harness.servers import ADMIN_PASSWORD

EXPIRES_AFTER_S = 3


@webob.dec.wsgify
def service(request):
    """Tells what the middleware learned about who asks."""
    told = ("X-Identity-Status", "X-User-Name", "X-Project-Name", "X-Roles", "Openstack-System-Scope")
    return webob.Response(json_body={name: request.headers.get(name) for name in told})


@pytest.fixture(scope="module")
def behind(server):
    """Asks the service with a token: `behind(token).status_code`."""
    protected = auth_token.AuthProtocol(
        service,
        {
            "auth_type": "password",
            "auth_url": server.url,
            "www_authenticate_uri": server.url,
            "username": "admin",
            "password": ADMIN_PASSWORD,
            "user_domain_id": "default",
            "project_name": "admin",
            "project_domain_id": "default",
            "service_type": "compute",
            "token_cache_time": "-1",
            "service_token_roles_required": "true",
        },
    )

    def ask(token, method="GET", path="/v2.1/servers"):
        headers = {"X-Auth-Token": token} if token else {}
        return webob.Request.blank(path, method=method, headers=headers).get_response(protected)

    return ask


@pytest.fixture
def alice(admin):
    """A user with a role on a project: (id, project id)."""
    name = f"alice-{time.monotonic_ns()}"
    user = admin.post("/users", user={"name": name, "password": "wonderland"}).ok()["user"]["id"]
    project = admin.post("/projects", project={"name": name}).ok()["project"]["id"]
    role = admin.role("member")
    admin.put(f"/projects/{project}/users/{user}/roles/{role}").ok()
    return user, project


def scoped(project):
    return {"project": {"id": project}}


def test_a_good_token_is_let_through(behind, admin, alice):
    user, project = alice
    answer = behind(admin.login(user, "wonderland", scoped(project)).ok().token)
    assert answer.status_code == 200
    told = json.loads(answer.body)
    assert told["X-Identity-Status"] == "Confirmed"
    assert told["X-User-Name"] == told["X-Project-Name"]
    assert set(told["X-Roles"].split(",")) == {"member", "reader"}


def test_a_system_token_tells_its_scope(behind, server):
    answer = behind(Api(server).as_admin({"system": {"all": True}}).token)
    assert json.loads(answer.body)["Openstack-System-Scope"] == "all"


@pytest.mark.parametrize("token", [None, "", "nonsense", "gAAAAABk" + "A" * 180])
def test_no_token_and_a_forged_one_are_refused(behind, token):
    answer = behind(token)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_a_token_with_one_letter_changed_is_refused(behind, admin, alice):
    user, project = alice
    token = admin.login(user, "wonderland", scoped(project)).ok().token
    for place in (20, len(token) // 2, len(token) - 5):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert behind(changed).status_code == 401


def test_a_revoked_token_is_refused(behind, admin, alice):
    user, project = alice
    token = admin.login(user, "wonderland", scoped(project)).ok().token
    assert behind(token).status_code == 200
    admin.delete("/auth/tokens", headers={"X-Subject-Token": token}).ok()
    assert behind(token).status_code == 401


def test_a_disabled_user_is_refused_at_once(behind, admin, alice):
    user, project = alice
    token = admin.login(user, "wonderland", scoped(project)).ok().token
    assert behind(token).status_code == 200
    admin.patch(f"/users/{user}", user={"enabled": False}).ok()
    assert behind(token).status_code == 401


def test_access_rules_are_enforced(behind, admin, alice):
    user, project = alice
    compute = admin.post("/services", service={"type": "compute"}).ok()["service"]["id"]
    admin.post("/endpoints", endpoint={"service_id": compute, "interface": "public", "url": "http://nova"}).ok()
    own = admin.as_user(user, "wonderland", scoped(project))
    rules = [{"path": "/v2.1/servers/*", "method": "GET", "service": "compute"}]
    made = own.post(
        f"/users/{user}/application_credentials",
        application_credential={"name": "ruled", "secret": "s3cret", "access_rules": rules},
    ).ok()["application_credential"]
    credential = {"id": made["id"], "secret": "s3cret"}
    methods = {"methods": ["application_credential"], "application_credential": credential}
    token = admin.authenticate({"identity": methods}).ok().token
    assert behind(token, path="/v2.1/servers/one").status_code == 200
    assert behind(token, path="/v2.1/flavors").status_code == 401
    assert behind(token, method="DELETE", path="/v2.1/servers/one").status_code == 401


def test_an_expired_token_is_refused(start):
    server = start({"token": {"expiration": EXPIRES_AFTER_S}})
    admin = Api(server).as_admin()
    token = admin.as_admin().token
    admin.validate(token).ok()
    time.sleep(EXPIRES_AFTER_S + 1.1)
    fresh = admin.as_admin()
    fresh.validate(token).fails(404)
    assert fresh.using(token).get("/auth/projects").status == 401
    assert fresh.get("/auth/tokens?allow_expired=1", headers={"X-Subject-Token": token}).ok()["token"]["expires_at"]
