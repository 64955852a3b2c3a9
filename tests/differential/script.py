"""Scripts of requests: what the YAML files in scripts/ mean, and how one request is sent.

A script is a list of steps. A step is a mapping:

    get: /v3/users?name=alice        the verb (get, head, post, put, patch, delete, options) and the path,
                                     or a list of paths, each requested in turn
    body: {user: {name: alice}}      the JSON body; `bodies: [...]` sends one request for each
    raw: "{bad"                      a body sent as it stands
    form: {grant_type: x}            a body sent as an HTML form
    signed: {api: ec2, ...}          a body that hands on what an AWS client signed; see signing.AwsSigned
    as: alice                        whose token goes into X-Auth-Token: `admin` if left out, or `nobody`
    headers: {X-Subject-Token: "{bob.token}"}
                                     Authorization: {consumer: ...} is an OAuth 1.0 signature; see signing.oauth1_header;
                                     Authorization: {basic: [user, password]}
    save: alice                      keeps the object inside the answer: `{alice.id}` works from then on
    token: alice                     keeps the answer's X-Subject-Token: `as: alice` works from then on
    compare: shape                   compares no strings and no items of lists: for pages, cut at random ids
    compare: status                  compares the status alone: for what another script compares whole
    status: 201                      what Python Keystone answers; a guard against scripts that miss their point

A file may also be `{config: {token: {expiration: 2}}, steps: [...]}`: options of keystone.conf for both servers. A step
`wait: 3` waits that many seconds. A step `idle: "{alice.id}"` has a user made, and active, long ago.

`login: {user: "{alice.id}", password: ..., project: ..., domain: ..., system: true, unscoped: true}` is short for
POST /v3/auth/tokens with a password; `{name}` stands for what earlier steps kept, on each side its own.
"""

import base64
import datetime
import http.client
import json
import re
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import sqlalchemy
import yaml

from differential.signing import AwsSigned, Form, oauth1_header
from harness.servers import ADMIN_PASSWORD

VERBS = ("get", "head", "post", "put", "patch", "delete", "options")
KEYS = {*VERBS, "login", "body", "bodies", "raw", "form", "signed", "as", "headers", "save", "token", "compare", "status"}
REFERENCE = re.compile(r"\{([a-z_][a-z0-9_]*(?:\.[a-zA-Z0-9_-]+)*)\}")
TIMEOUT_S = 60
SIGNATURE_PARTS = {
    f"{{http://www.w3.org/2000/09/xmldsig#}}{name}" for name in ("DigestValue", "SignatureValue", "X509Certificate")
}


class ScriptError(Exception):
    """A script that cannot be run as written; the message names the step."""


@dataclass
class Request:
    """One request, with references such as {alice.id} still to be filled in for each side."""

    method: str
    path: str
    body: object = None
    raw: str | None = None
    who: str = "admin"
    headers: dict = field(default_factory=dict)
    save: str | None = None
    token: str | None = None
    compare: str = "all"
    status: int | None = None
    wait: float = 0
    idle: str | None = field(default=None, repr=False)

    def __str__(self):
        what = f"{self.method} {self.path}"
        if self.who != "admin":
            what += f" as {self.who}"
        if self.headers:
            what += f" with {self.headers}"
        if self.raw is not None:
            return f"{what} {self.raw!r}"[:300]
        return what if self.body is None else f"{what} {json.dumps(self.body)}"[:300]


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    text: str
    at: float

    @property
    def json(self):
        """The body as JSON, or None where it is none. A form counts as an object, and so does XML."""
        if self.headers.get("Content-Type") == "application/x-www-form-urlencoded":
            return {"form": dict(parse_qsl(self.text))}
        if self.headers.get("Content-Type") == "text/xml":
            return element_as_json(ElementTree.fromstring(self.text))
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def element_as_json(element):
    """An XML element; its children under their place, and alike ones as a list, whose order says nothing.

    What a signature is made of differs with every key.
    """
    text = "signed" if element.tag in SIGNATURE_PARTS else (element.text or "").strip()
    shown = {"tag": element.tag, **element.attrib, "text": text}
    children = [element_as_json(child) for child in element]
    if len({child["tag"] for child in children}) == 1:
        return {**shown, "children": children}
    return {**shown, **{f"{place}:{child['tag'].split('}')[-1]}": child for place, child in enumerate(children)}}


class Side:
    """One of the two servers, with what the script kept of its answers."""

    def __init__(self, server):
        self.server = server
        self.names = {"admin_password": ADMIN_PASSWORD, "url": server.base}

    def fill(self, value):
        """`value` with each {reference} replaced by what this side knows under that name."""
        if isinstance(value, dict):
            return type(value)({self.fill(key): self.fill(item) for key, item in value.items()})
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            return REFERENCE.sub(lambda found: str(self.look_up(found[1])), value)
        return value

    def look_up(self, path):
        value = self.names
        for step in path.split("."):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError, TypeError):
                raise ScriptError(f"{self.server.name} has no {{{path}}}") from None
        return value

    def send(self, request):
        """Sends one request, keeps what it says to keep, and gives the reply."""
        time.sleep(request.wait)
        if request.idle:
            make_idle(self.server, self.fill(request.idle))
        headers = {"Accept": "application/json"}
        if request.who != "nobody":
            headers["X-Auth-Token"] = self.look_up(f"{request.who}.token")
        body = None
        filled = self.fill(request.body)
        if request.raw is not None:
            body = request.raw.encode()
        elif isinstance(filled, Form):
            body = urlencode(filled).encode()
        elif isinstance(filled, AwsSigned):
            body = json.dumps(filled.body()).encode()
        elif filled is not None:
            body = json.dumps(filled).encode()
        if body is not None:
            form = isinstance(filled, Form)
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        for name, value in request.headers.items():
            headers.pop(name, None)
            if isinstance(value, dict):
                headers[name] = self.authorization(self.fill(value), self.fill(request.path))
            elif value is not None:
                headers[name] = self.fill(value)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=TIMEOUT_S)
        try:
            connection.request(request.method, self.fill(request.path), body, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.headers, response.read().decode("utf-8", "replace"), time.time())
        finally:
            connection.close()
        self.keep(request, reply)
        return reply

    def authorization(self, options, path):
        """An Authorization header made for this side's URL."""
        if "basic" in options:
            return "Basic " + base64.b64encode(":".join(options["basic"]).encode()).decode()
        return oauth1_header(options, self.server.base + path)

    def keep(self, request, reply):
        if request.save and isinstance(reply.json, dict):
            inner = [value for key, value in reply.json.items() if key != "links"]
            self.names.setdefault(request.save, {})
            if "access_token" in reply.json and "token_type" in reply.json:
                self.names[request.save].update(reply.json)
            elif inner and isinstance(inner[0], dict):
                self.names[request.save].update(inner[0])
            else:
                self.names[request.save]["list"] = inner[0] if inner else []
        if request.token and "X-Subject-Token" in reply.headers:
            self.names.setdefault(request.token, {})["token"] = reply.headers["X-Subject-Token"]


def make_idle(server, user_id):
    """Puts the days on which a user was made, and was active last, a year back, which no request can."""
    engine = sqlalchemy.create_engine(server.config["database"]["connection"].replace("{dir}", str(server.directory)))
    user = sqlalchemy.table("user", *map(sqlalchemy.column, ("id", "created_at", "last_active_at")))
    then = datetime.datetime.now() - datetime.timedelta(days=365)
    long_ago = {"created_at": then, "last_active_at": then.date()}
    with engine.begin() as connection:
        changed = connection.execute(user.update().where(user.c.id == user_id).values(**long_ago)).rowcount
    engine.dispose()
    if changed != 1:
        raise ScriptError(f"{server.name} has no user {user_id}")


def login_body(options):
    """The body of POST /v3/auth/tokens for a `login:` step."""
    options = dict(options)
    user = options.pop("user")
    auth = {"identity": {"methods": ["password"], "password": {"user": user if isinstance(user, dict) else {"id": user}}}}
    auth["identity"]["password"]["user"]["password"] = options.pop("password")
    for kind in ("project", "domain"):
        if kind in options:
            target = options.pop(kind)
            auth["scope"] = {kind: target if isinstance(target, dict) else {"id": target}}
    if options.pop("system", False):
        auth["scope"] = {"system": {"all": True}}
    if options.pop("unscoped", False):
        auth["scope"] = "unscoped"
    if options:
        raise ScriptError(f"login does not know {', '.join(options)}")
    return {"auth": auth}


def requests_of(step):
    """The requests that one step stands for."""
    unknown = set(step) - KEYS
    if unknown:
        raise ScriptError(f"a step does not know {', '.join(sorted(unknown))}: {step}")
    kept = {"save": step.get("save"), "token": step.get("token"), "status": step.get("status")}
    kept.update(headers=step.get("headers", {}), compare=step.get("compare", "all"))
    if "login" in step:
        return [Request("POST", "/v3/auth/tokens", login_body(step["login"]), who=step.get("as", "nobody"), **kept)]
    verb = next((verb for verb in VERBS if verb in step), None)
    if verb is None:
        raise ScriptError(f"a step without a verb: {step}")
    if "form" in step:
        step = {**step, "body": Form(step["form"])}
    if "signed" in step:
        step = {**step, "body": AwsSigned(step["signed"])}
    paths = step[verb] if isinstance(step[verb], list) else [step[verb]]
    bodies = step["bodies"] if "bodies" in step else [step.get("body")]
    who = step.get("as", "admin")
    return [
        Request(verb.upper(), path, body, step.get("raw"), who, **kept)
        for path in paths
        for body in bodies
    ]  # fmt: skip


@dataclass
class Script:
    """A script file: its requests in order, and the options that its servers need."""

    requests: list
    config: dict
    #: How many of the requests come from the prologue.
    prologue: int = 0


def load(path):
    """Reads a script file."""
    content = yaml.safe_load(Path(path).read_text())
    if isinstance(content, list):
        content = {"steps": content}
    requests, before = [], {}
    for step in content["steps"]:
        if set(step) in ({"wait"}, {"idle"}):
            before.update(step)
            continue
        made = requests_of(step)
        made[0] = replace(made[0], **before)
        before = {}
        requests += made
    return Script(requests, content.get("config", {}))
