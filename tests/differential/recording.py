"""Python Keystone's answers to a script: asked live, and kept under target/ until the script changes.

Python Keystone needs a tenth of a second and more for a request, so that a second run without it is much quicker.
"""

import hashlib
import json
import time
from email.message import Message
from http.client import RemoteDisconnected
from pathlib import Path

from differential.script import Reply, ScriptError, Side
from harness.servers import CachingKeystone, PythonKeystone

#: Scripts in which Python Keystone's cache would show: it goes on telling what has changed since, or what one request
#: added to what the next ones get.
WITHOUT_CACHE = {
    "credentials", "domain_deletion", "federated_login", "federation", "first_use", "inactivity", "limits",
    "oauth2_certificates", "password_expiry", "personas", "projects", "revocations", "trust_chains", "trusts",
}  # fmt: skip
KEPT_IN = Path(__file__).parents[2] / "target" / "differential"


def kept(name, key):
    """What `keep` was given under this name and key; None where that is gone, or was never there."""
    file = KEPT_IN / f"{name}-{key}.json"
    return json.loads(file.read_text()) if file.exists() else None


def keep(name, key, answers):
    """Keeps answers in place of any others of this name. The key is of 16 letters and changes with what was asked."""
    for old in KEPT_IN.glob(f"{name}-{'?' * 16}.json"):
        old.unlink()
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    (KEPT_IN / f"{name}-{key}.json").write_text(json.dumps(answers))


def recorded(name, script):
    """(base URL, replies) of Python Keystone 30 for all requests of a script, if they are kept."""
    told = kept(name, key_of(script))
    return told and (told["base"], [revive(reply) for reply in told["replies"]])


def key_of(script):
    idle = "".join(request.idle or "" for request in script.requests)
    return hashlib.sha256(f"{script!r}{idle}".encode()).hexdigest()[:16]


def record(name, script, directory, databases=None):
    """Asks a fresh Python Keystone all requests of a script, and keeps and gives the answers as `recorded` does.

    `databases` is the database server to keep its data in, SQLite if left out.

    Raises ScriptError when an answer is not the one that the script says Python Keystone gives.
    """
    replies, missed = [], []
    database = {"database": {"connection": databases.fresh()}} if databases else {}
    keystone = PythonKeystone if name.partition(".")[0] in WITHOUT_CACHE else CachingKeystone
    with keystone(directory, {**script.config, **database}) as server:
        side = Side(server)
        for number, request in enumerate(script.requests, 1 - script.prologue):
            try:
                replies.append(sent(side, request))
                miss = missed_point(request, replies[-1])
            except ScriptError as failure:
                miss = failure
            if miss:
                missed.append(f"#{number} {request}: {miss}")
    if missed:
        raise ScriptError("\n".join(missed))
    flat = [
        {"status": reply.status, "headers": reply.headers.items(), "text": reply.text, "at": reply.at}
        for reply in replies
    ]
    keep(name, key_of(script), {"base": server.base, "replies": flat})
    return server.base, replies


def sent(side, request):
    """The reply; Python Keystone under uwsgi answers nothing at all where it crashes, which counts as a 500."""
    try:
        return side.send(request)
    except RemoteDisconnected:
        return Reply(500, Message(), "", time.time())


def missed_point(request, reply):
    """Why this reply is not what the script was written for, or None."""
    if request.status not in (None, reply.status):
        return f"Python Keystone answers {reply.status}, not {request.status}: {reply.text}"
    if request.save and reply.status >= 300:
        return f"nothing to save, Python Keystone answers {reply.status}: {reply.text}"
    return None


def revive(flat):
    headers = Message()
    for name, value in flat["headers"]:
        headers[name] = value
    return Reply(flat["status"], headers, flat["text"], flat["at"])
