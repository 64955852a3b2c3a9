"""A domain whose users come by a connector of the bundled plugin `jwt`."""

import itertools
import secrets
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from harness.api import Api
from harness.plugins import rebuilt
from jwt.algorithms import OKPAlgorithm

#: What nodes need besides: a place for the method `totp` too.
CONFIG = {"auth": {"methods": "external,password,token,oauth1,mapped,application_credential,totp"}}
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}]
PASSWORD = "of-the-manager"
ISSUER = "https://ci.example"

artifacts = itertools.count(secrets.randbelow(1 << 30))


def another_artifact():
    """The plugin with a digest that it never had."""
    return rebuilt("jwt", next(artifacts))


class Ci:
    """Signs what its jobs are."""

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        public = OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.keys = {"keys": [{**public, "kid": "ci", "use": "sig"}]}

    def token(self):
        now = int(time.time())
        said = {"iss": ISSUER, "aud": "archstone", "sub": "job", "iat": now, "exp": now + 300, "jti": secrets.token_hex(8)}
        return jwt.encode(said, self.key, algorithm="EdDSA", headers={"kid": "ci"})


class Domain:
    """Its manager makes connectors."""

    def __init__(self, nodes):
        admin = nodes.admin
        nodes.install("jwt", settings={"grant": {"http": {"origins": []}}})
        name = f"federated-{secrets.token_hex(3)}"
        self.id = admin.post("/domains", domain={"name": name}).ok()["domain"]["id"]
        user = {"name": "manager", "domain_id": self.id, "password": PASSWORD}
        manager = admin.post("/users", user=user).ok()["user"]["id"]
        admin("PUT", f"/domains/{self.id}/users/{manager}/roles/{admin.role('manager')}").ok()
        self.manager = Api(nodes[0]).as_user(manager, PASSWORD, {"domain": {"id": self.id}})
        self.token = self.manager.token
        self.ci = Ci()
        self.connector = self.connect()

    def config(self, **changes):
        bound = {"iss": ISSUER, "sub": "job"}
        return {"keys": self.ci.keys, "audiences": ["archstone"], "bound_claims": bound, "replay": "allow", **changes}

    def connect(self):
        """The id of a new connector."""
        name = f"ci-{secrets.token_hex(4)}"
        told = {"name": name, "plugin": "jwt", "config": self.config(), "mapping": {"rules": RULES}}
        return self.manager.post("/v4/connectors", connector=told).ok()["connector"]["id"]

    def log_in(self, client, connector):
        path = f"/v4/connectors/{connector}/token"
        return client.ask("POST", path, {}, Authorization=f"Bearer {self.ci.token()}", X_Auth_Token=None)
