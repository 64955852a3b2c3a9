"""The comparison itself: what it must see, and what it must let pass."""

import json
import time
from email.message import Message

from differential.compare import CRASH, DIFFERENT, WORDING, Comparison
from differential.script import Reply

ALICE, BOB = "a" * 32, "b" * 32
OTHER_ALICE, OTHER_BOB = "c" * 32, "d" * 32


def reply(body, status=200, **headers):
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return Reply(status, message, json.dumps(body), time.time())


def differences(*pairs):
    comparison = Comparison("http://127.0.0.1:1", "http://127.0.0.1:2")
    return [(found.where, found.kind) for pair in pairs for found in comparison.reply(*pair)]


def test_ids_made_by_each_side_are_paired():
    first = reply({"id": ALICE, "self": f"http://127.0.0.1:1/v3/users/{ALICE}"})
    second = reply({"id": OTHER_ALICE, "self": f"http://127.0.0.1:2/v3/users/{OTHER_ALICE}"})
    assert differences((first, second)) == []


def test_an_id_that_stands_for_another_is_seen():
    told = [(reply({"id": ALICE}), reply({"id": OTHER_ALICE})), (reply({"id": BOB}), reply({"id": OTHER_BOB}))]
    swapped = (reply({"owner": ALICE}), reply({"owner": OTHER_BOB}))
    assert differences(*told, swapped) == [("owner", DIFFERENT)]


def test_lists_may_come_in_any_order():
    told = [(reply({"id": ALICE}), reply({"id": OTHER_ALICE})), (reply({"id": BOB}), reply({"id": OTHER_BOB}))]
    listed = (reply({"ids": [ALICE, BOB]}), reply({"ids": [OTHER_BOB, OTHER_ALICE]}))
    assert differences(*told, listed) == []


def test_a_missing_item_a_missing_key_and_another_type_are_seen():
    assert differences((reply({"a": [1, 2]}), reply({"a": [1]}))) == [("a", DIFFERENT)]
    assert differences((reply({"a": None}), reply({}))) == [("a", DIFFERENT)]
    assert differences((reply({"a": 1}), reply({"a": True}))) == [("a", DIFFERENT)]
    assert differences((reply({"a": "1"}), reply({"a": 1}))) == [("a", DIFFERENT)]


def test_a_status_and_a_header_are_seen():
    assert differences((reply({}, 200), reply({}, 201))) == [("status", DIFFERENT)]
    assert differences((reply({}, Vary="X-Auth-Token"), reply({}))) == [("header Vary", DIFFERENT)]
    assert differences((reply({}, X_Subject_Token="one"), reply({}, X_Subject_Token="two"))) == []


def test_times_may_differ_a_little_and_must_be_written_alike():
    assert differences((reply({"at": "2030-01-01T00:00:00.000000Z"}), reply({"at": "2030-01-01T00:00:09.000000Z"}))) == []
    assert differences((reply({"at": "2030-01-01T00:00:00Z"}), reply({"at": "2030-01-02T00:00:00Z"}))) != []
    assert differences((reply({"at": "2030-01-01T00:00:00.000000Z"}), reply({"at": "2030-01-01T00:00:00Z"}))) != []


def test_the_wording_of_an_error_is_told_apart():
    first, second = ({"error": {"code": 400, "message": text}} for text in ("one", "two"))
    assert differences((reply(first, 400), reply(second, 400))) == [("error.message", WORDING)]


def test_a_crash_of_the_original_is_no_fault_of_the_target():
    assert differences((reply({}, 500), reply({}, 400))) == [("status", CRASH)]
    assert differences((reply({}, 500), reply({}, 500))) == [("status", DIFFERENT)]
