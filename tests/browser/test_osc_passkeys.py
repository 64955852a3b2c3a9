"""The requests of the Rust client osc (crates openstack_cli and openstack_sdk 0.22, features keystone_ng and passkey).

What it sends is made here from what the browser signed, as its source makes it from what a key signed; what it expects of
an answer is what its types demand: members in snake case, values that are names of Rust's enums, base64url with padding.
"""

import base64

import pytest

from browser.test_security_keys import METHOD, Person

pytestmark = pytest.mark.archstone_only

TRANSPORTS = {"ble": "Ble", "hybrid": "Hybrid", "internal": "Internal", "nfc": "Nfc", "usb": "Usb"}
VERIFICATION = {"Required": "required", "Preferred": "preferred", "DiscouragedDoNotUse": "discouraged"}


@pytest.fixture
def ada(admin, browser):
    return Person(admin, browser)


@pytest.fixture
def key(browser):
    with browser.plug_in() as key:
        yield key


def padded(text):
    """base64url as osc's decoder wants it, to what browsers have."""
    assert len(text) % 4 == 0 and not set(text) & set("+/ \n"), text
    assert base64.urlsafe_b64encode(base64.urlsafe_b64decode(text)).decode() == text
    return text.rstrip("=")


def with_padding(text):
    return text + "=" * (-len(text) % 4)


def descriptors(listed):
    back = {rust: word for word, rust in TRANSPORTS.items()}
    found = []
    for one in listed:
        assert set(one) <= {"id", "transports", "type_"}
        transports = {"transports": [back[word] for word in one["transports"]]} if one.get("transports") else {}
        found.append({"id": padded(one["id"]), "type": one["type_"], **transports})
    return found


def creation_options(asked):
    """RegisterStartResponse, as osc turns it into the options of WebAuthn."""
    selection = asked["authenticator_selection"]
    assert asked["attestation"] in ("Direct", "Indirect", "None")
    assert selection["resident_key"] in ("Discouraged", "Preferred", "Required")
    return {
        "rp": asked["rp"],
        "user": {
            "id": padded(asked["user"]["id"]),
            "name": asked["user"]["name"],
            "displayName": asked["user"]["display_name"],
        },
        "challenge": padded(asked["challenge"]),
        "pubKeyCredParams": [{"alg": one["alg"], "type": one["type_"]} for one in asked["pub_key_cred_params"]],
        "timeout": asked["timeout"],
        "excludeCredentials": descriptors(asked["exclude_credentials"]),
        "attestation": asked["attestation"].lower(),
        "authenticatorSelection": {
            "residentKey": selection["resident_key"].lower(),
            "requireResidentKey": selection["require_resident_key"],
            "userVerification": VERIFICATION[selection["user_verification"]],
        },
    }


def request_options(answer):
    """PasskeyAuthenticationStartResponse, likewise."""
    assert answer["mediation"] in (None, "Conditional")
    asked = answer["public_key"]
    return {
        "challenge": padded(asked["challenge"]),
        "rpId": asked["rp_id"],
        "timeout": asked["timeout"],
        "allowCredentials": descriptors(asked["allow_credentials"]),
        "userVerification": VERIFICATION[asked["user_verification"]],
    }


def registration(created, **more):
    response = created["response"]
    return {
        **more,
        "extensions": {},
        "id": created["id"],
        "raw_id": with_padding(created["rawId"]),
        "response": {
            "attestation_object": with_padding(response["attestationObject"]),
            "client_data_json": with_padding(response["clientDataJSON"]),
            "transports": [TRANSPORTS[word] for word in response["transports"]],
        },
        "type_": created["type"],
    }


def assertion(signed, user):
    response = signed["response"]
    handle = {"user_handle": with_padding(response["userHandle"])} if response.get("userHandle") else {}
    return {
        "id": signed["id"],
        "extensions": {},
        "raw_id": with_padding(signed["rawId"]),
        "response": {
            "authenticator_data": with_padding(response["authenticatorData"]),
            "client_data_json": with_padding(response["clientDataJSON"]),
            "signature": with_padding(response["signature"]),
            **handle,
        },
        "type_": signed["type"],
        "user_id": user,
    }


def enroll(person, **more):
    asked = person.api.post(f"{person.passkeys}/register_start", passkey=more).ok()["public_key"]
    created = person.browser.create(creation_options(asked))
    return person.api("POST", f"{person.passkeys}/register_finish", json=registration(created, **more))


def start(person, **claim):
    return person.api.using(None).post("/v4/auth/passkey/start", passkey=claim)


def finish(person, signed, user, **options):
    return person.api.using(None)("POST", "/v4/auth/passkey/finish", json=assertion(signed, user), **options)


def test_osc_enrolls_and_logs_in(ada, key):
    enrolled = enroll(ada, description="by osc")
    assert enrolled.status == 201
    passkey = enrolled["passkey"]
    assert passkey["credential_id"] and passkey["description"] == "by osc"
    answer = start(ada, user_id=ada.user).ok()
    allowed = request_options(answer)["allowCredentials"]
    assert len(allowed) == 1 and allowed[0]["transports"] == ["usb"]
    token = finish(ada, ada.browser.get(request_options(answer)), ada.user).ok()
    assert token.token and token["token"]["methods"] == [METHOD]
    assert token["token"]["user"]["id"] == ada.user
    # It is told of the keys that it has.
    asked = ada.api.post(f"{ada.passkeys}/register_start", passkey={}).ok()["public_key"]
    assert [one["id"] for one in creation_options(asked)["excludeCredentials"]] == [one["id"] for one in allowed]


def test_an_answer_of_osc_is_good_once_and_for_its_user(admin, browser, ada, key):
    bob = Person(admin, browser)
    enroll(ada).ok()
    signed = browser.get(request_options(start(ada, user_id=ada.user).ok()))
    finish(ada, signed, ada.user).ok()
    finish(ada, signed, ada.user).fails(401)
    signed = browser.get(request_options(start(ada, user_id=ada.user).ok()))
    finish(ada, signed, bob.user).fails(401)
    finish(ada, signed, ada.user).fails(401)


def test_two_logins_at_once_do_not_mix(ada, key):
    enroll(ada).ok()
    questions = [request_options(start(ada, user_id=ada.user).ok()) for _ in range(2)]
    signed = [ada.browser.get(question) for question in questions]
    for one in signed:
        finish(ada, one, ada.user).ok()


def shape(question):
    """What a stranger sees of a question, besides what is random in it."""
    asked = question["public_key"]
    allowed = [{**one, "id": len(one["id"])} for one in asked["allow_credentials"]]
    return sorted(question.json), {**asked, "challenge": len(asked["challenge"]), "allow_credentials": allowed}


def test_strangers_cannot_tell_who_has_a_key(ada, admin, browser, server):
    without, nobody = Person(admin, browser), "nobody-of-this-name"
    with browser.plug_in():
        enroll(ada).ok()
        has = start(ada, user_id=ada.user).ok()
        # Only what an authenticator tells of itself differs, as it does between two authenticators.
        expected = [{"id": 44, "transports": ["Hybrid", "Internal"], "type_": "public-key"}]
        for user in (without.user, nobody):
            asked = start(ada, user_id=user).ok()
            request_options(asked)
            (names, options), (real_names, real) = shape(asked), shape(has)
            assert names == real_names
            assert options.pop("allow_credentials") == expected and real.pop("allow_credentials")
            assert options == real
            again = start(ada, user_id=user).ok()
            assert again["public_key"]["allow_credentials"] == asked["public_key"]["allow_credentials"]
            assert again["public_key"]["challenge"] != asked["public_key"]["challenge"]
        first, second = (start(ada, user_id=user).ok() for user in (without.user, nobody))
        assert first["public_key"]["allow_credentials"] != second["public_key"]["allow_credentials"]
        # Nor by an answer, or once the server was started again.
        mine = has["public_key"]["allow_credentials"]
        refusals = []
        for user in (ada.user, without.user, nobody):
            question = start(ada, user_id=user).ok().json
            options = request_options({**question, "public_key": {**question["public_key"], "allow_credentials": mine}})
            signed = assertion(ada.browser.get(options), user)
            signed["response"]["signature"] = with_padding("AAAA")
            refusals.append(ada.api.using(None)("POST", "/v4/auth/passkey/finish", json=signed).fails(401).json)
        assert refusals[0] == refusals[1] == refusals[2]
        before = start(ada, user_id=nobody).ok()["public_key"]["allow_credentials"]
        server.restart()
        assert start(ada, user_id=nobody).ok()["public_key"]["allow_credentials"] == before


def test_a_key_of_ones_own_is_no_answer_for_somebody_without(ada, admin, browser):
    without = Person(admin, browser)
    with browser.plug_in():
        enroll(ada).ok()
        mine = start(ada, user_id=ada.user).ok()["public_key"]["allow_credentials"]
        for user in (without.user, "nobody"):
            question = start(ada, user_id=user).ok().json
            options = request_options({**question, "public_key": {**question["public_key"], "allow_credentials": mine}})
            finish(ada, browser.get(options), user).fails(401)


def test_the_users_rules_count_here_too(admin, browser, key):
    eve = Person(admin, browser, multi_factor_auth_enabled=True, multi_factor_auth_rules=[["password", METHOD]])
    enroll(eve).ok()
    half = eve.api.login(eve.user, eve.name)
    receipt = {"Openstack-Auth-Receipt": half.headers["Openstack-Auth-Receipt"]}
    alone = finish(eve, browser.get(request_options(start(eve, user_id=eve.user).ok())), eve.user)
    assert alone.status == 401 and alone.headers["Openstack-Auth-Receipt"]
    token = finish(eve, browser.get(request_options(start(eve, user_id=eve.user).ok())), eve.user, headers=receipt)
    assert sorted(token.ok()["token"]["methods"]) == ["password", METHOD]


@pytest.mark.parametrize("body", [{}, {"passkey": 1}, {"passkey": {"user_id": 7}}])
def test_what_is_no_request_is_refused(ada, body):
    ada.api.using(None)("POST", "/v4/auth/passkey/start", json=body).fails(400)


@pytest.mark.parametrize(
    "change",
    [
        {"response": {}},
        {"raw_id": "!"},
        {"response": {"authenticator_data": "", "client_data_json": "e30=", "signature": ""}},
        {"response": {"authenticator_data": "", "client_data_json": "\u00e9", "signature": ""}},
    ],
)
def test_what_is_no_answer_is_refused(ada, key, change):
    enroll(ada).ok()
    signed = ada.browser.get(request_options(start(ada, user_id=ada.user).ok()))
    body = {**assertion(signed, ada.user), **change}
    ada.api.using(None)("POST", "/v4/auth/passkey/finish", json=body).fails(400)
