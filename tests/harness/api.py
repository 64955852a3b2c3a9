"""A small fluent client: `api.post("/users", user={...}).ok()["user"]`."""

import requests

from harness.servers import ADMIN_PASSWORD

TIMEOUT_S = 60

ADMIN_PROJECT = {"project": {"name": "admin", "domain": {"id": "default"}}}
SYSTEM = {"system": {"all": True}}
UNSCOPED = "unscoped"


class Answer:
    """What came back; reads like the JSON body, and refuses to be used when the status was not expected."""

    def __init__(self, response):
        self.response = response
        self.status = response.status_code
        self.headers = response.headers

    @property
    def json(self):
        return self.response.json()

    @property
    def token(self):
        return self.headers["X-Subject-Token"]

    def ok(self):
        """This answer, or an AssertionError that shows why it is no success."""
        assert 200 <= self.status < 300, self.told()
        return self

    def fails(self, status):
        """This answer, or an AssertionError unless it is Keystone's error shape with this status."""
        assert self.status == status, self.told()
        error = self.json["error"]
        assert error["code"] == status and error["title"] and error["message"], self.told()
        return self

    def __getitem__(self, key):
        return self.json[key]

    def told(self):
        request = self.response.request
        return f"{request.method} {request.url} -> {self.status}: {self.response.text[:600]}"


class Api:
    """Requests to one server with one token."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method, path, *, headers=None, json=None, **options):
        root = self.server.base if path.startswith(("/v3", "/v4")) or path == "/" else self.server.url
        headers = {**({"X-Auth-Token": self.token} if self.token else {}), **(headers or {})}
        options.setdefault("timeout", TIMEOUT_S)
        return Answer(self.session.request(method, root + path, headers=headers, json=json, **options))

    def get(self, path, **options):
        return self("GET", path, **options)

    def head(self, path, **options):
        return self("HEAD", path, **options)

    def delete(self, path, **options):
        return self("DELETE", path, **options)

    def put(self, path, **body):
        return self("PUT", path, json=body or None)

    def post(self, path, **body):
        return self("POST", path, json=body)

    def patch(self, path, **body):
        return self("PATCH", path, json=body)

    def using(self, token):
        """The same server with another token (None: with none)."""
        return Api(self.server, token)

    def authenticate(self, auth, **options):
        """POST /auth/tokens with the given `auth` object and no token header."""
        return self.using(None)("POST", "/auth/tokens", json={"auth": auth}, **options)

    def login(self, user, password, scope=None):
        """The answer to a password login; `user` is an id, or a name when it is a {name, domain} object."""
        user = user if isinstance(user, dict) else {"id": user}
        identity = {"methods": ["password"], "password": {"user": {**user, "password": password}}}
        return self.authenticate({"identity": identity, **({"scope": scope} if scope else {})})

    def as_user(self, user, password, scope=None):
        """A client with a token of this user."""
        return self.using(self.login(user, password, scope).ok().token)

    def as_admin(self, scope=ADMIN_PROJECT):
        return self.as_user({"name": "admin", "domain": {"id": "default"}}, ADMIN_PASSWORD, scope)

    def role(self, name):
        """The id of the role of this name that is of no domain."""
        return self.get(f"/roles?name={name}").ok()["roles"][0]["id"]

    def validate(self, token, **options):
        """GET /auth/tokens for another token."""
        headers = {"X-Subject-Token": token, **options.pop("headers", {})}
        return self.get("/auth/tokens", headers=headers, **options)


def lead_catalog_to(server):
    """Makes the catalog's bootstrapped endpoints, which tell addresses that nothing listens on, lead to the server."""
    admin = Api(server).as_admin()
    for endpoint in admin.get("/endpoints").ok()["endpoints"]:
        admin.patch(f"/endpoints/{endpoint['id']}", endpoint={"url": server.url}).ok()
