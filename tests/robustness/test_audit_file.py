"""The audit trail as CADF events in a file."""

import json
import signal
import time

import pytest

from harness.api import Api
from pycadf import cadftaxonomy, cadftype, identifier, timestamp

pytestmark = pytest.mark.archstone_only


@pytest.fixture
def audited(start):
    # The log's level says nothing of the file.
    server = start({"archstone": {"audit_file": "{dir}/audit.jsonl"}})
    return server, server.directory / "audit.jsonl"


def events(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_events_are_as_pycadf_wants_them(audited):
    server, file = audited
    admin = Api(server).as_admin()
    user = admin.post("/users", user={"name": "ada", "password": "wonderland"}).ok()["user"]["id"]
    project = admin.post("/projects", project={"name": "red"}).ok()["project"]["id"]
    reader = admin.role("reader")
    admin.put(f"/projects/{project}/users/{user}/roles/{reader}").ok()
    ada = admin.as_user(user, "wonderland", {"project": {"id": project}})
    ada.post("/users", user={"name": "eve"}).fails(403)
    admin.login(user, "a wrong guess").fails(401)
    admin.delete(f"/users/{user}").ok()
    told = events(file)
    for event in told:
        assert event["typeURI"] == cadftype.CADF_VERSION_1_0_0 + "event"
        assert cadftype.is_valid_eventType(event["eventType"])
        assert cadftaxonomy.is_valid_outcome(event["outcome"])
        assert identifier.is_valid(event["id"]) and timestamp.is_valid(event["eventTime"])
        for party in ("initiator", "target", "observer"):
            assert event[party]["id"] and event[party]["typeURI"]
        assert event["initiator"]["host"] == {"address": "127.0.0.1"}
        assert event["initiator"]["request_id"].startswith("req-")
    by_action = {event["action"]: event for event in told}
    assert by_action["created.user"]["target"] == {"typeURI": "data/security/account/user", "id": user}
    assert by_action["deleted.user"]["resource_info"] == user
    granted = by_action["created.role_assignment"]
    assert (granted["role"], granted["user"], granted["project"]) == (reader, user, project)
    denied = by_action["identity:create_user"]
    assert (denied["eventType"], denied["outcome"], denied["initiator"]["id"]) == ("control", "failure", user)
    logins = [event for event in told if event["action"] == "authenticate"]
    assert [event["outcome"] for event in logins] == ["success", "success", "failure"]
    assert logins[1]["initiator"]["user_id"] == logins[1]["target"]["id"] == user
    text = file.read_text()
    assert "wonderland" not in text and "a wrong guess" not in text and ada.token not in text
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_made_anew_at_sighup(audited):
    server, file = audited
    admin = Api(server).as_admin()
    moved = file.rename(file.with_name("audit.1"))
    admin.post("/projects", project={"name": "before"}).ok()
    assert events(moved)[-1]["action"] == "created.project" and not file.exists()
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    admin.post("/projects", project={"name": "after"}).ok()
    assert [event["action"] for event in events(file)] == ["created.project"]
