"""Security keys: enrolled in a browser, and logging in as the only proof, as a second one, and without a name."""

import base64
import itertools
import json

import pytest

from harness.browser import Refused

pytestmark = pytest.mark.archstone_only

METHOD = "security-key"
numbers = itertools.count()


class Person:
    """A user with a client of their own, who enrols security keys in the browser and logs in by them."""

    def __init__(self, admin, browser, **options):
        self.name = f"person-{next(numbers)}"
        self.user = admin.post("/users", user={"name": self.name, "password": self.name}).ok()["user"]["id"]
        self.browser = browser
        self.api = admin.as_user(self.user, self.name)
        if options:
            admin.patch(f"/users/{self.user}", user={"options": options}).ok()

    @property
    def passkeys(self):
        return f"/v4/users/{self.user}/passkeys"

    def asked_to_create(self, **passkey):
        return self.api.post(f"{self.passkeys}/register_start", passkey=passkey).ok()["publicKey"]

    def finish(self, credential, **more):
        return self.api.post(f"{self.passkeys}/register_finish", credential=credential, **more)

    def enroll(self, **more):
        """Enrols whatever security key is plugged in, and gives its id."""
        created = self.browser.create(self.asked_to_create())
        return self.finish(created, **more).ok()["passkey"]["credential_id"]

    @property
    def claim(self):
        return {"user": {"id": self.user}}

    def asked_to_get(self, claim=None, **options):
        """What a login by a key has to sign, and the continuation."""
        claim = self.claim if claim is None else claim
        answer = self.api.authenticate({"identity": {"methods": [METHOD], METHOD: claim}}, **options).fails(401)
        question = answer["error"]["identity"][METHOD]
        return question["publicKey"], question["continuation"]

    def answer(self, credential, continuation, claim=None, **options):
        payload = {**(self.claim if claim is None else claim), "credential": credential, "continuation": continuation}
        return self.api.authenticate({"identity": {"methods": [METHOD], METHOD: payload}}, **options)

    def login(self, change=lambda options: options, **options):
        """A login by whatever security key is plugged in; `change` is what the page does to the options."""
        asked, continuation = self.asked_to_get(**options)
        return self.answer(self.browser.get(change(asked)), continuation, **options)


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture
def ada(admin, browser):
    return Person(admin, browser)


@pytest.fixture
def bob(admin, browser):
    return Person(admin, browser)


@pytest.fixture
def key(browser):
    with browser.plug_in() as key:
        yield key


def audit(server, action):
    """The events of the audit trail about an action, the newest last."""
    lines = (server.directory / "output.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if '"archstone::audit"' in line]
    return [event["fields"] for event in events if event["fields"]["action"] == action]


def test_a_key_is_the_only_proof(ada, key, server):
    ada.enroll()
    token = ada.login().ok()
    assert token.status == 201
    assert token["token"]["methods"] == [METHOD]
    assert token["token"]["user"]["id"] == ada.user
    last = audit(server, "authenticate")[-1]
    assert (last["outcome"], last["initiator"], last["methods"]) == ("success", ada.user, METHOD)


def test_each_of_two_keys_logs_in(ada, browser):
    with browser.plug_in():
        first = ada.enroll(description="at home")
        ada.login().ok()
        found = ada.asked_to_create()["excludeCredentials"]
        assert len(found) == 1
        # A key that is enrolled already says so itself.
        with pytest.raises(Refused, match="InvalidStateError"):
            browser.create(ada.asked_to_create())
    with browser.plug_in(transport="internal"):
        second = ada.enroll(description="in the laptop")
        ada.login().ok()
    listed = {one["credential_id"]: one for one in ada.api.get(ada.passkeys).ok()["passkeys"]}
    assert {identity: one["description"] for identity, one in listed.items()} == {first: "at home", second: "in the laptop"}
    assert all(one["created_at"] and one["last_used_at"] for one in listed.values())


def test_a_key_is_the_second_proof(admin, browser, key):
    eve = Person(admin, browser, multi_factor_auth_enabled=True, multi_factor_auth_rules=[["password", METHOD]])
    eve.enroll()
    # Neither is enough by itself.
    half = eve.api.login(eve.user, eve.name)
    assert half.status == 401 and half["required_auth_methods"] == [["password", METHOD]]
    alone = eve.login()
    assert alone.status == 401 and alone["receipt"]["methods"] == [METHOD]
    receipt = {"Openstack-Auth-Receipt": half.headers["Openstack-Auth-Receipt"]}
    token = eve.login(headers=receipt).ok()
    assert sorted(token["token"]["methods"]) == ["password", METHOD]


def test_both_proofs_in_one_request(admin, browser, key):
    eve = Person(admin, browser, multi_factor_auth_enabled=True, multi_factor_auth_rules=[["password", METHOD]])
    eve.enroll()
    password = {"user": {"id": eve.user, "password": eve.name}}

    def both(payload):
        methods = ["password", METHOD]
        return eve.api.authenticate({"identity": {"methods": methods, "password": password, METHOD: payload}})

    question = both(eve.claim).fails(401)["error"]["identity"][METHOD]
    credential = browser.get(question["publicKey"])
    both({**eve.claim, "credential": credential, "continuation": question["continuation"]}).ok()


def test_a_key_knows_whose_it_is(ada, bob, key, server):
    ada.enroll()
    asked, continuation = bob.asked_to_get(claim={})
    assert asked["allowCredentials"] == []
    token = bob.answer(ada.browser.get(asked), continuation, claim={}).ok()
    assert token["token"]["user"]["id"] == ada.user


def test_a_disabled_user_does_not_log_in_without_a_name_either(admin, ada, key):
    ada.enroll()
    admin.patch(f"/users/{ada.user}", user={"enabled": False}).ok()
    asked, continuation = ada.asked_to_get(claim={})
    ada.answer(ada.browser.get(asked), continuation, claim={}).fails(401)


def test_another_persons_password_and_a_key_make_nobody(admin, ada, bob, key, browser):
    ada.enroll()
    asked, continuation = ada.asked_to_get(claim={})
    payload = {"credential": browser.get(asked), "continuation": continuation}
    password = {"user": {"id": bob.user, "password": bob.name}}
    methods = ["password", METHOD]
    ada.api.authenticate({"identity": {"methods": methods, "password": password, METHOD: payload}}).fails(401)


def test_a_page_of_another_origin_is_refused(ada, key, elsewhere, server):
    ada.enroll()
    asked, continuation = ada.asked_to_get()
    to_create = ada.asked_to_create()
    ada.browser.open(elsewhere.origin)
    ada.answer(ada.browser.get(asked), continuation).fails(401)
    assert "another origin" in audit(server, "authenticate")[-1]["reason"]
    ada.finish(ada.browser.create({**to_create, "excludeCredentials": []})).fails(400)
    assert "another origin" in audit(server, "enroll")[-1]["reason"]


def test_an_answer_is_good_once(ada, key):
    ada.enroll()
    asked, continuation = ada.asked_to_get()
    credential = ada.browser.get(asked)
    ada.answer(credential, continuation).ok()
    ada.answer(credential, continuation).fails(401)
    _, fresh = ada.asked_to_get()
    ada.answer(credential, fresh).fails(401)


def test_a_registration_is_good_once(ada, key):
    created = ada.browser.create(ada.asked_to_create())
    ada.finish(created).ok()
    ada.finish(created).fails(401)


def test_a_copy_of_a_key_is_found_out(ada, key, server):
    ada.enroll()
    copy = key.credentials()[0]
    ada.login().ok()
    ada.login().ok()
    key.put(copy)
    ada.login().fails(401)
    assert "there may be a copy" in audit(server, "authenticate")[-1]["reason"]
    # The key that was there first goes on.
    key.put(copy, signCount=copy["signCount"] + 100)
    ada.login().ok()


def test_a_deleted_key_logs_nobody_in(ada, key):
    kept = ada.enroll()
    asked, continuation = ada.asked_to_get()
    credential = ada.browser.get(asked)
    ada.api.delete(f"{ada.passkeys}/{kept}").ok()
    ada.answer(credential, continuation).fails(401)
    # They are asked as ever, for a key that nobody has.
    asked, continuation = ada.asked_to_get()
    assert [one["id"] for one in asked["allowCredentials"]] != [kept]
    ada.answer({**credential}, continuation).fails(401)
    asked, continuation = ada.asked_to_get(claim={})
    ada.answer(ada.browser.get(asked), continuation, claim={}).fails(401)


def test_another_persons_key_is_refused(ada, bob, browser):
    with browser.plug_in():
        ada.enroll()
        asked_of_ada, _ = ada.asked_to_get()
    with browser.plug_in():
        bob.enroll()
        bobs = bob.asked_to_get()[0]["allowCredentials"]
        refused = ada.login(change=lambda options: {**options, "allowCredentials": bobs})
        refused.fails(401)
        # Nor does ada's question do for bob.
        asked, continuation = ada.asked_to_get()
        bob.answer(browser.get({**asked, "allowCredentials": bobs}), continuation).fails(401)


def test_what_somebody_has_is_nobody_elses_to_enroll(ada, bob, key):
    ada.enroll()
    taken = decoded(key.credentials()[0]["credentialId"])
    created = ada.browser.create({**bob.asked_to_create(), "excludeCredentials": []})
    # Nothing vouches for a registration, so bob can say that his key goes by the name of ada's.
    mine = decoded(created["rawId"])
    forged = decoded(created["response"]["attestationObject"]).replace(mine, taken)
    created["id"] = created["rawId"] = encoded(taken)
    created["response"]["attestationObject"] = encoded(forged)
    bob.finish(created).fails(409)
    assert bob.api.get(bob.passkeys).ok()["passkeys"] == []


def test_a_key_has_to_verify_its_user(ada, key, server):
    ada.enroll()
    key.knows_its_user(False)
    with pytest.raises(Refused, match="NotAllowedError"):
        ada.login()
    # A page that asks for less than the server does.
    ada.login(change=lambda options: {**options, "userVerification": "discouraged"}).fails(401)
    assert "did not verify its user" in audit(server, "authenticate")[-1]["reason"]


def test_a_key_that_cannot_verify_its_user_is_not_enrolled(ada, browser, server):
    with browser.plug_in(hasUserVerification=False, isUserVerified=False, hasResidentKey=False):
        asked = ada.asked_to_create()
        with pytest.raises(Refused, match="NotAllowedError"):
            browser.create(asked)
        less = {"userVerification": "discouraged", "residentKey": "discouraged"}
        ada.finish(browser.create({**asked, "authenticatorSelection": less})).fails(400)
    assert "did not verify its user" in audit(server, "enroll")[-1]["reason"]


def test_keys_are_ones_own_business(admin, ada, bob, key, server):
    kept = ada.enroll(description="mine")
    path = f"{ada.passkeys}/{kept}"
    for refused in (
        bob.api.get(ada.passkeys),
        bob.api.post(f"{ada.passkeys}/register_start", passkey={}),
        bob.api.patch(path, passkey={"description": "bob's"}),
        bob.api.delete(path),
        # Under one's own name there is no such key.
    ):
        refused.fails(403)
    bob.api.delete(f"{bob.passkeys}/{kept}").fails(404)
    bob.api.patch(f"{bob.passkeys}/{kept}", passkey={}).fails(404)
    ada.api.using(None).get(ada.passkeys).fails(401)
    renamed = ada.api.patch(path, passkey={"description": "the blue one"}).ok()["passkey"]
    assert (renamed["credential_id"], renamed["description"]) == (kept, "the blue one")
    assert admin.get(ada.passkeys).ok()["passkeys"][0]["description"] == "the blue one"
    ada.login().ok()
    admin.delete(path).ok()
    assert ada.api.get(ada.passkeys).ok()["passkeys"] == []
    assert audit(server, "delete")[-1]["target_id"] == kept
    admin.get("/v4/users/nobody/passkeys").fails(404)


def test_nothing_but_enrolling_makes_a_key(admin, ada, key):
    kept = ada.enroll()
    stored = ada.api.get(f"/credentials/{kept}").ok()["credential"]
    assert stored["type"] == f"enrolled:{METHOD}"
    assert set(json.loads(stored["blob"])) == {"name", "data"}
    for api in (ada.api, admin):
        body = {"type": stored["type"], "blob": stored["blob"], "user_id": ada.user}
        api.post("/credentials", credential=body).fails(403)
        api.patch(f"/credentials/{kept}", credential={"blob": "{}"}).fails(403)
    ada.login().ok()


def test_a_delegated_token_does_not_touch_keys(admin, ada, key):
    kept = ada.enroll()
    project = admin.post("/projects", project={"name": ada.name}).ok()["project"]["id"]
    admin.put(f"/projects/{project}/users/{ada.user}/roles/{admin.role('member')}").ok()
    own = ada.api.as_user(ada.user, ada.name, {"project": {"id": project}})
    body = {"name": "a program", "unrestricted": True}
    made = own.post(f"/users/{ada.user}/application_credentials", application_credential=body).ok()["application_credential"]
    secret = {"id": made["id"], "secret": made["secret"]}
    login = ada.api.authenticate({"identity": {"methods": ["application_credential"], "application_credential": secret}})
    program = ada.api.using(login.ok().token)
    program.get(ada.passkeys).fails(403)
    program.post(f"{ada.passkeys}/register_start", passkey={}).fails(403)
    program.delete(f"{ada.passkeys}/{kept}").fails(403)


def test_v4_tells_of_itself_and_v3_knows_nothing_of_it(admin):
    version = admin.get("/v4").ok()["version"]
    assert version["id"] == "v4.0" and version["links"][0]["href"].endswith("/v4/")
    listed = admin.get("/")["versions"]["values"]
    assert [version["id"] for version in listed] == ["v3.14"]
