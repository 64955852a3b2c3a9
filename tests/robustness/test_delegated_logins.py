"""Logins by EC2 keys and OAuth: attacked with what an attacker can have."""

import pytest
import requests

from differential.signing import AwsSigned, oauth1_header
from harness.api import Api


@pytest.fixture(scope="module")
def project(admin):
    return admin.post("/projects", project={"name": "red"}).ok()["project"]["id"]


def make_user(admin, name, project, *roles, **attributes):
    user = admin.post("/users", user={"name": name, "password": name, **attributes}).ok()["user"]["id"]
    for role in roles:
        role_id = admin.role(role)
        admin.put(f"/projects/{project}/users/{user}/roles/{role_id}").ok()
    return user


@pytest.fixture(scope="module")
def alice(admin, project):
    return make_user(admin, "alice", project, "member")


def client_of(api, user, name, project):
    return api.as_user(user, name, {"project": {"id": project}})


def keys_of(admin, user, project, access, **members):
    blob = {"access": access, "secret": "secretKey", **members}
    text = "{" + ", ".join(f'"{name}": "{value}"' for name, value in blob.items()) + "}"
    credential = {"type": "ec2", "blob": text, "user_id": user, "project_id": project}
    return admin.post("/credentials", credential=credential)


def show_signature(admin, access, **options):
    signed = AwsSigned(api="ec2", version=2, access=access, secret="secretKey", **options).body()
    return admin("POST", "/ec2tokens", json=signed)


@pytest.mark.archstone_only
def test_keys_do_not_borrow_another_users_application_credential(admin, project, alice):
    bob = make_user(admin, "bob", project, "member")
    body = {"name": "bobs", "roles": [{"name": "member"}]}
    bobs = client_of(admin, bob, "bob", project).post(f"/users/{bob}/application_credentials", application_credential=body)
    bobs = bobs.ok()["application_credential"]["id"]
    own = client_of(admin, alice, "alice", project)
    keys_of(own, alice, project, "borrowed", app_cred_id=bobs).ok()
    show_signature(admin, "borrowed").fails(401)


def trust_of(admin, project, trustor, trustee, impersonation=True, **attributes):
    role = {"roles": [{"name": "reader"}], "project_id": project, "impersonation": impersonation, **attributes}
    return admin.post("/OS-TRUST/trusts", trust={"trustor_user_id": trustor, "trustee_user_id": trustee, **role}).ok()["trust"]["id"]


@pytest.mark.archstone_only
def test_keys_do_not_borrow_a_trust_between_others(admin, project, alice):
    """Python Keystone takes anybody's keys that name a trust which impersonates for the trustee's."""
    trustee, eve = make_user(admin, "trustee", project, "reader"), make_user(admin, "eve", project, "reader")
    trust = trust_of(client_of(admin, alice, "alice", project), project, alice, trustee)
    keys_of(client_of(admin, eve, "eve", project), eve, project, "eavesdropped", trust_id=trust).ok()
    show_signature(admin, "eavesdropped").fails(401)


@pytest.mark.archstone_only
def test_keys_under_a_trust_give_no_more_tokens_than_the_trust(admin, project, alice):
    """Python Keystone does not count tokens that keys give."""
    twice = make_user(admin, "twice", project, "reader")
    trust = trust_of(client_of(admin, alice, "alice", project), project, alice, twice, False, remaining_uses=2)
    keys_of(client_of(admin, twice, "twice", project), twice, project, "counted", trust_id=trust).ok()
    for _ in range(2):
        show_signature(admin, "counted").ok()
    show_signature(admin, "counted").fails(404)


@pytest.mark.archstone_only
def test_keys_under_a_trust_do_not_skip_the_trustees_second_factor(admin, project, alice):
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    careful = make_user(admin, "careful-trustee", project, "reader", options=rules)
    own = client_of(admin, alice, "alice", project)
    keys_of(own, alice, project, "shortcut", trust_id=trust_of(own, project, alice, careful)).ok()
    show_signature(admin, "shortcut").fails(401)


@pytest.mark.archstone_only
def test_keys_do_not_borrow_another_users_grant(admin, project, alice):
    """Python Keystone takes the grant, bounded by the roles of whose keys they are."""
    _, access = grant(admin)
    admin_project = admin.get(f"/users/{access['user']}/OS-OAUTH1/access_tokens/{access['token']}").ok()
    keys_of(
        client_of(admin, alice, "alice", project),
        alice,
        admin_project["access_token"]["project_id"],
        "granted",
        access_token_id=access["token"],
    ).ok()
    show_signature(admin, "granted").fails(401)


@pytest.mark.archstone_only
def test_an_old_request_does_not_get_younger_by_a_parameter_that_is_not_signed(admin, project, alice):
    """Parameters of a POST are not signed by version 4, and Python Keystone takes the time from them."""
    keys_of(admin, alice, project, "replayed").ok()
    old = AwsSigned(api="ec2", version=4, verb="POST", access="replayed", secret="secretKey", late=3600).body()
    admin("POST", "/ec2tokens", json=old).fails(401)
    old["credentials"]["params"]["Timestamp"] = "2099-01-01T00:00:00Z"
    admin("POST", "/ec2tokens", json=old).fails(401)


@pytest.mark.archstone_only
def test_keys_do_not_skip_a_second_factor(admin, project):
    options = {"multi_factor_auth_rules": [["password", "totp"]]}
    careful = make_user(admin, "careful", project, "member", options=options)
    keys_of(admin, careful, project, "single").ok()
    show_signature(admin, "single").fails(401)
    options = {"multi_factor_auth_rules": [["password", "totp"], ["ec2credential"]]}
    admin.patch(f"/users/{careful}", user={"options": options}).ok()
    show_signature(admin, "single").ok()


def test_without_the_method_that_marks_them_no_tokens_are_made_from_keys(start):
    server = start({"auth": {"methods": "password,token,application_credential"}})
    admin = Api(server).as_admin()
    user = admin.get("/users?name=admin").ok()["users"][0]["id"]
    project = admin.get("/projects?name=admin").ok()["projects"][0]["id"]
    keys_of(admin, user, project, "unmarked").ok()
    show_signature(admin, "unmarked").fails(503)


def test_the_age_of_a_signature_is_the_operators_choice(start):
    server = start({"credential": {"auth_ttl": 1}})
    admin = Api(server).as_admin()
    user = admin.get("/users?name=admin").ok()["users"][0]["id"]
    project = admin.get("/projects?name=admin").ok()["projects"][0]["id"]
    keys_of(admin, user, project, "aging").ok()
    show_signature(admin, "aging", late=30).ok()
    show_signature(admin, "aging", late=90).fails(401)


def post_signed(server, path, **options):
    headers = {"Authorization": oauth1_header(options, server.url + path)}
    return headers, requests.post(server.url + path, headers={**headers, **options.get("with_headers", {})}, timeout=60)


def form(response):
    assert response.status_code == 201, response.text
    return dict(pair.split("=", 1) for pair in response.text.split("&"))


def grant(admin, role="member"):
    """A consumer, and what the administrator granted to it."""
    server = admin.server
    consumer = admin.post("/OS-OAUTH1/consumers", consumer={}).ok()["consumer"]
    own = {"consumer": consumer["id"], "secret": consumer["secret"]}
    project = admin.get("/projects?name=admin").ok()["projects"][0]["id"]
    wanted = form(
        post_signed(server, "/OS-OAUTH1/request_token", **own, with_headers={"Requested-Project-Id": project})[1]
    )
    path = f"/OS-OAUTH1/authorize/{wanted['oauth_token']}"
    verifier = admin.put(path, roles=[{"name": role}]).ok()["token"]["oauth_verifier"]
    token = {"token": wanted["oauth_token"], "token_secret": wanted["oauth_token_secret"]}
    got = form(post_signed(server, "/OS-OAUTH1/access_token", **own, **token, verifier=verifier)[1])
    user = admin.get("/users?name=admin").ok()["users"][0]["id"]
    return own, {"token": got["oauth_token"], "secret": got["oauth_token_secret"], "user": user}


@pytest.mark.archstone_only
def test_a_signed_login_is_good_once(admin):
    own, access = grant(admin)
    signed = {**own, "token": access["token"], "token_secret": access["secret"]}
    headers = {"Authorization": oauth1_header(signed, admin.server.url + "/auth/tokens")}
    login = {"identity": {"methods": ["oauth1"], "oauth1": {}}}
    admin.authenticate(login, headers=headers).ok()
    admin.authenticate(login, headers=headers).fails(401)


def test_a_grant_does_not_widen_itself(admin):
    own, access = grant(admin)
    signed = {**own, "token": access["token"], "token_secret": access["secret"]}
    headers = {"Authorization": oauth1_header(signed, admin.server.url + "/auth/tokens")}
    issued = admin.authenticate({"identity": {"methods": ["oauth1"], "oauth1": {}}}, headers=headers).ok()
    program = admin.using(issued.token)
    program.get("/users").fails(403)
    program.post("/OS-OAUTH1/consumers", consumer={}).fails(403)
    program.get(f"/users/{access['user']}/OS-OAUTH1/access_tokens").fails(403)
    body = {"name": "wider"}
    program.post(f"/users/{access['user']}/application_credentials", application_credential=body).fails(403)
    program.post(f"/users/{access['user']}/credentials/OS-EC2", tenant_id="x").fails(404)
    program.authenticate({"identity": {"methods": ["token"], "token": {"id": issued.token}}}).fails(403)


def test_an_admins_grant_makes_no_further_grants(admin):
    """A program with the admin role still came through a delegation."""
    own, access = grant(admin, "admin")
    signed = {**own, "token": access["token"], "token_secret": access["secret"]}
    headers = {"Authorization": oauth1_header(signed, admin.server.url + "/auth/tokens")}
    issued = admin.authenticate({"identity": {"methods": ["oauth1"], "oauth1": {}}}, headers=headers).ok()
    program = admin.using(issued.token)
    project = admin.get("/projects?name=admin").ok()["projects"][0]["id"]
    wanted = form(
        post_signed(admin.server, "/OS-OAUTH1/request_token", **own, with_headers={"Requested-Project-Id": project})[1]
    )
    program.put(f"/OS-OAUTH1/authorize/{wanted['oauth_token']}", roles=[{"name": "admin"}]).fails(403)
    program.delete(f"/users/{access['user']}/OS-OAUTH1/access_tokens/{access['token']}").fails(403)
    program.post(f"/users/{access['user']}/credentials/OS-EC2", tenant_id=project).fails(403)
    keys_of(program, access["user"], project, "program").fails(403)
    assert program.get("/credentials").ok()["credentials"] == []
