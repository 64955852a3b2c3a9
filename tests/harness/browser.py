"""A headless Chromium, driven by WebDriver, whose security keys are virtual (W3C WebDriver and WebAuthn, section 11)."""

import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from harness.servers import ServerFailed, free_port

START_LIMIT_S = 60
#: As root, Chromium has no sandbox; in containers, little shared memory.
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]

CREATE = """
const [options, done] = arguments;
const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
navigator.credentials.create({publicKey}).then(key => done(key.toJSON()), error => done({error: error.name}));
"""

GET = """
const [options, done] = arguments;
const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
navigator.credentials.get({publicKey}).then(key => done(key.toJSON()), error => done({error: error.name}));
"""


class Refused(Exception):
    """The browser or its key did not do it; the message is the DOMException's name."""


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>a page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Site:
    """A page at an origin of its own, on localhost."""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://localhost:{self.server.server_port}"
        return self

    def __exit__(self, *failure):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """One window."""

    def __init__(self):
        self.driver = self.session = None

    def __enter__(self):
        port = free_port()
        driver = shutil.which("chromedriver")
        if driver is None:
            raise ServerFailed("there is no chromedriver: install chromium and chromium-driver")
        self.http = requests.Session()
        self.http.trust_env = False
        self.driver = subprocess.Popen(
            [driver, f"--port={port}", "--log-level=SEVERE"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.root = f"http://127.0.0.1:{port}"
        try:
            self._wait()
            options = {"browserName": "chrome", "goog:chromeOptions": {"args": ARGUMENTS}, "timeouts": {"script": 30_000}}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        if self.session is not None:
            self._ask("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait(15)

    def _wait(self):
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise ServerFailed(f"chromedriver did not answer within {START_LIMIT_S} s")

    def _ask(self, method, path, body=None):
        answer = self.http.request(method, self.root + path, json=body if method == "POST" else None, timeout=90)
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise ServerFailed(f"{method} {path}: {value}")
        return value

    def open(self, url):
        self._ask("POST", f"{self.session}/url", {"url": url})

    def create(self, options):
        """`navigator.credentials.create` on the page that is open; options and answer are WebAuthn's JSON."""
        return self._ceremony(CREATE, options)

    def get(self, options):
        """`navigator.credentials.get`"""
        return self._ceremony(GET, options)

    def _ceremony(self, script, options):
        answer = self._ask("POST", f"{self.session}/execute/async", {"script": script, "args": [options]})
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def plug_in(self, **properties):
        """A new security key, which is touched whenever it asks for it."""
        defaults = {
            "protocol": "ctap2",
            "transport": "usb",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "isUserConsenting": True,
        }
        return Key(self, self._ask("POST", f"{self.session}/webauthn/authenticator", {**defaults, **properties}))


class Key:
    """A virtual authenticator."""

    def __init__(self, browser, name):
        self.browser = browser
        self.path = f"{browser.session}/webauthn/authenticator/{name}"

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.pull_out()

    def pull_out(self):
        self.browser._ask("DELETE", self.path)

    def credentials(self):
        """What is on it, private keys included."""
        return self.browser._ask("GET", f"{self.path}/credentials")

    def put(self, credential, **changes):
        """A copy of a credential of this key or another, in place of the one with its id."""
        known = [one["credentialId"] for one in self.credentials()]
        if credential["credentialId"] in known:
            self.browser._ask("DELETE", f"{self.path}/credentials/{credential['credentialId']}")
        self.browser._ask("POST", f"{self.path}/credential", {**credential, **changes})

    def knows_its_user(self, knows):
        """Whether the right finger touches it from now on."""
        self.browser._ask("POST", f"{self.path}/uv", {"isUserVerified": knows})
