"""The OpenID provider of the tests, and a browser that logs in there."""

import json
import os
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from harness.servers import ROOT, free_port

SOURCE = Path(__file__).parent / "op"
INSTALLED = ROOT / "target" / "op"
START_LIMIT_S = 30

ACCOUNTS = {
    "ada": {"password": "lovelace", "name": "Ada", "email": "ada@id.example", "groups": ["engineers", "readers"]},
    "bob": {"password": "builder", "name": "Bob", "email": "bob@id.example", "groups": ["readers"]},
}


def installed():
    """The directory with the provider's program and the packages of its lock file, installed once for each."""
    lock = SOURCE / "package-lock.json"
    stamp = INSTALLED / "installed.json"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "op.mjs"):
        shutil.copyfile(SOURCE / file, INSTALLED / file)
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=INSTALLED, check=True, timeout=300)
        shutil.copyfile(lock, stamp)
    return INSTALLED


def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signing_key(name, kind="RS256"):
    """A private key as JWK, for signatures."""
    if kind == "RS256":
        key = RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)
    else:
        key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**key, "kid": name, "use": "sig", "alg": kind, "key_ops": ["sign"]}


class Provider:
    """An OpenID provider as a process of its own."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.port = free_port()
        self.process = None
        self.keys = [signing_key("first")]
        self.clients = []

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def discovery(self):
        return f"{self.issuer}/.well-known/openid-configuration"

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        program = installed() / "op.mjs"
        with open(self.directory / "op.log", "wb") as log:
            self.process = subprocess.Popen(
                ["node", program, str(self.port)],
                cwd=INSTALLED,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        setup = {"clients": self.clients, "accounts": ACCOUNTS, "keys": self.keys}
        self.process.stdin.write(json.dumps(setup).encode())
        self.process.stdin.close()
        if self.process.stdout.readline().strip() != b"serving":
            raise RuntimeError(f"the provider does not start:\n{(self.directory / 'op.log').read_text()}")
        return self

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15)
            self.process = None

    def change(self, **setup):
        """Changes `clients`, `keys` or the like while it runs."""
        answer = requests.post(f"{self.issuer}/test/setup", json=setup, timeout=30)
        assert answer.status_code == 200, answer.text

    def add_client(self, client_id, **metadata):
        """Makes a client known, in place of one that had this id."""
        client = {"client_id": client_id, "response_types": [], "redirect_uris": [], **metadata}
        self.clients = [known for known in self.clients if known["client_id"] != client_id] + [client]
        self.change(clients=self.clients)

    def rotate(self, name, kind="RS256", keep=()):
        """A new key signs from now on; of the others, those that are named are still published."""
        self.keys = [signing_key(name, kind)] + [key for key in self.keys if key["kid"] in keep]
        self.change(keys=self.keys)

    def tokens(self, client, **grant):
        """What the token endpoint gives a client with this (id, secret)."""
        answer = requests.post(f"{self.issuer}/token", data=grant, auth=client, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Forms(HTMLParser):
    """The forms of a page: (action, fields) each."""

    def __init__(self, page):
        super().__init__()
        self.all = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.all.append((attributes["action"], {}))
        elif tag == "input" and self.all and attributes.get("name"):
            self.all[-1][1][attributes["name"]] = attributes.get("value") or ""


class Browser:
    """Goes where it is sent and fills in the provider's forms, until it comes to `until`."""

    STEPS = 20

    def __init__(self):
        self.session = requests.Session()
        self.session.trust_env = False

    def log_in(self, location, login, until=None):
        """The address that the provider sends the browser back to; or the last page, where it does not."""
        answer = self.session.get(location, allow_redirects=False, timeout=30)
        for _ in range(self.STEPS):
            if answer.is_redirect:
                target = urljoin(answer.url, answer.headers["Location"])
                if until and target.startswith(until):
                    return target
                answer = self.session.get(target, allow_redirects=False, timeout=30)
                continue
            forms = Forms(answer.text).all
            if not forms:
                assert not until, f"{answer.status_code} {answer.url}: {answer.text[:2000]}"
                return answer
            action, fields = forms[0]
            fields = {**fields, **({"login": login, "password": "any"} if "login" in fields else {})}
            answer = self.session.post(urljoin(answer.url, action), data=fields, allow_redirects=False, timeout=30)
        raise AssertionError(f"the browser goes round in circles at {answer.url}")

    def log_out(self, provider):
        """Ends the session at the provider, which tells its clients."""
        page = self.session.get(f"{provider.issuer}/session/end", timeout=30)
        action, fields = Forms(page.text).all[0]
        answer = self.session.post(action, data={**fields, "logout": "yes"}, timeout=30)
        assert answer.status_code == 200, answer.text


def key_pair():
    """An RSA key: the private one in PEM, and the public one as JWK."""
    key = rsa_key()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return pem, {name: public[name] for name in ("kty", "n", "e")}
