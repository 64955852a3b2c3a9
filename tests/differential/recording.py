"""Python Keystone's answers to a script: asked live, and kept under target/ until the script changes.

Python Keystone needs a tenth of a second and more for a request, so that a second run without it is much quicker.
"""

import hashlib
import json
from email.message import Message
from pathlib import Path

from differential.script import Reply, ScriptError, Side
from harness.servers import PythonKeystone

KEPT_IN = Path(__file__).parents[2] / "target" / "differential"


def answers(name, script, directory, fresh=False):
    """(base URL, replies) of Python Keystone 30 for all requests of a script.

    Raises ScriptError when an answer is not the one that the script says Python Keystone gives.
    """
    digest = hashlib.sha256(repr(script).encode()).hexdigest()[:16]
    kept = KEPT_IN / f"{name}-{digest}.json"
    if kept.exists() and not fresh:
        told = json.loads(kept.read_text())
        return told["base"], [revive(reply) for reply in told["replies"]]
    with PythonKeystone(directory, script.config) as server:
        side = Side(server)
        replies = [guarded(side, request) for request in script.requests]
    for old in KEPT_IN.glob(f"{name}-????????????????.json"):
        old.unlink()
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    flat = [
        {"status": reply.status, "headers": reply.headers.items(), "text": reply.text, "at": reply.at}
        for reply in replies
    ]
    kept.write_text(json.dumps({"base": server.base, "replies": flat}))
    return server.base, replies


def guarded(side, request):
    reply = side.send(request)
    if request.status not in (None, reply.status):
        raise ScriptError(f"{request}: Python Keystone answers {reply.status}, not {request.status}: {reply.text}")
    if request.save and reply.status >= 300:
        raise ScriptError(f"{request}: nothing to save, Python Keystone answers {reply.status}: {reply.text}")
    return reply


def revive(flat):
    headers = Message()
    for name, value in flat["headers"]:
        headers[name] = value
    return Reply(flat["status"], headers, flat["text"], flat["at"])
