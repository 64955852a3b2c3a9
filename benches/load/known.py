"""Clients that know what the answer has to be.

Each worker has users of its own, changes them, and remembers what was acknowledged. Every answer is held against
that. What was changed less than BOUND_S ago may still be told as it was: such an answer is counted as late, with how
late it was; all others that differ are wrong. Where a write got no answer, nobody knows what became of it, and the
worker goes on with another user: what it knew is checked at the end, with both outcomes allowed.
"""

import base64
import hmac
import json
import random
import secrets
import struct
import threading
import time

from load.client import Broken, Client
from load.facts import BOUND_S, Fact, Journal

#: Tokens and revocations tell the time by the second.
TICK_S = 1.1
#: How long a worker waits before it asks again where nothing good came.
AFTER_FAILURE_S = 0.2
#: How many of the deleted users of a worker are looked for at the end, on each node.
SETTLED = 50


class Unknown(Exception):
    """A write was not answered, or with a 5xx: it may have happened."""


class User:
    def __init__(self, ident, name, password):
        self.id, self.name, self.password = ident, name, password
        self.email = Fact(None)
        self.there, self.enabled, self.member = Fact.made(), Fact(True), Fact(False)
        self.tokens, self.secrets = [], []
        self.totp = None
        #: When a new token counts for sure.
        self.ready_at = 0


class Place:
    """What all workers share: the administrator's token, a project, its role, and a way to log in by a connector."""

    def __init__(self, admin):
        self.token = admin.token
        self.project = admin.post("/projects", project={"name": f"load-{secrets.token_hex(4)}"}).ok()["project"]["id"]
        self.role = admin.role("member")
        self.scope = {"project": {"id": self.project}}
        self.connector = None
        #: A function that gives a fresh JWT for the connector.
        self.jwt = None
        self.totp = False


class Worker(threading.Thread):
    """One client with users of its own; `ports` are where it may ask, one at random each time."""

    USERS = 4
    #: How long a user's token is used, so that keys which rotate do not end it.
    TOKEN_AGE_S = 150

    def __init__(self, place, ports, journal, number, pause_s=0.0):
        super().__init__(name=f"w{number}", daemon=True)
        self.place, self.journal, self.number, self.pause_s = place, journal, number, pause_s
        self.clients = [Client(port) for port in ports]
        self.random = random.Random(number)
        self.users, self.gone, self.left = [], [], []
        self.made = 0
        self.stopping = threading.Event()
        self.crash = None

    # One request

    def ask(self, what, method, path, body=None, **headers):
        """An answer; Broken where none came."""
        client = self.random.choice(self.clients)
        client.token = self.place.token
        at, began = time.time(), time.perf_counter()
        try:
            answer = client.ask(method, path, body, **headers)
        except Broken as failure:
            self.journal.saw(what, str(failure), at, time.perf_counter() - began)
            raise
        answer.asked_at = time.monotonic() - (time.perf_counter() - began)
        answer.port = client.port
        self.journal.saw(what, answer.status, at, time.perf_counter() - began)
        return answer

    def read(self, what, method, path, body=None, **headers):
        """An answer below 500, or None."""
        try:
            answer = self.ask(what, method, path, body, **headers)
        except Broken:
            answer = None
        if answer is None or answer.status >= 500:
            self.stopping.wait(AFTER_FAILURE_S)
            return None
        return answer

    def write(self, what, method, path, body=None, changes=(), expected=(200, 201, 204), **headers):
        """The answer to a write that changes these facts to these values; Unknown where nobody knows."""
        for fact, value in changes:
            fact.becomes(value)
        try:
            answer = self.ask(what, method, path, body, **headers)
        except Broken as failure:
            raise Unknown from failure
        if answer.status >= 500:
            raise Unknown
        if answer.status in expected:
            for fact, _ in changes:
                fact.settled()
            return answer
        for fact, _ in changes:
            fact.undone()
        made = [user for user in self.users if user.id in path and user.there.late_by(False, answer.asked_at)]
        if made and answer.status == 404:
            self.journal.say_late(what, made[0].there.late_by(False, answer.asked_at))
        else:
            self.wrong(what, answer, f"one of {expected}")
        raise Unknown

    def wrong(self, what, answer, expected, known=""):
        self.journal.say_wrong(
            f"{what} at {answer.port}: {answer.status} instead of {expected}; {known} {answer.id} {answer.body[:160]!r}"
        )

    def judge(self, what, answer, *facts, told=None):
        """Holds what an answer says, `told`, against the facts, which all have to be true for it to be true."""
        lags = [fact.late_by(True, answer.asked_at) for fact in facts]
        false = [fact.late_by(False, answer.asked_at) for fact in facts]
        if told:
            lag = None if None in lags else max(lags)
        else:
            lag = min((lag for lag in false if lag is not None), default=None)
        if lag is None:
            self.wrong(what, answer, "the opposite", f"known: {[(f.now, f.open) for f in facts]}")
        elif lag > 0:
            self.journal.say_late(what, lag)
        return lag is not None

    # What a worker does

    def create(self):
        self.made += 1
        name, password = f"{self.name}-{self.made}-{secrets.token_hex(3)}", secrets.token_hex(8)
        try:
            answer = self.write("create user", "POST", "/v3/users", {"user": {"name": name, "password": password}})
        except Unknown:
            self.left.append(User(None, name, password))
            self.stopping.wait(AFTER_FAILURE_S)
            return
        user = User(answer.json["user"]["id"], name, password)
        self.users.append(user)
        try:
            self.first_grant(user)
            if self.place.totp and self.made % 3 == 0:
                secret = secrets.token_bytes(20)
                told = {"user_id": user.id, "type": "totp", "blob": base64.b32encode(secret).decode()}
                self.write("create credential", "POST", "/v3/credentials", {"credential": told})
                user.totp = secret
        except Unknown:
            self.leave(user)

    def first_grant(self, user):
        """Another node than the one that made the user may not know them yet."""
        made_at = time.monotonic()
        while True:
            known = time.monotonic() - made_at > Fact.bound_s
            expected = (204,) if known else (204, 404)
            answer = self.write("grant", "PUT", self.grant(user), expected=expected)
            if answer.status == 204:
                user.member = Fact.made()
                return
            self.journal.say_late("grant to a new user", max(0.001, answer.asked_at - made_at))
            self.stopping.wait(0.02)

    def grant(self, user):
        return f"/v3/projects/{self.place.project}/users/{user.id}/roles/{self.place.role}"

    def leave(self, user):
        """Nobody knows how this user is now."""
        self.users.remove(user)
        self.left.append(user)

    def log_in(self, user):
        if len(user.tokens) > 3 or time.monotonic() < user.ready_at:
            return
        self.take("login password", user, {"methods": ["password"], "password": {"user": {"id": user.id, "password": user.password}}})

    def take(self, what, user, identity, scope=True, facts=()):
        """Logs in and keeps the token."""
        auth = {"identity": identity, **({"scope": self.place.scope} if scope else {})}
        answer = self.read(what, "POST", "/v3/auth/tokens", {"auth": auth}, X_Auth_Token=None)
        if answer is None or answer.status == 429:
            return
        facts = [*facts, user.there, user.enabled, *([user.member] if scope else [])]
        if self.judge(what, answer, *facts, told=answer.status == 201) and answer.status == 201:
            user.tokens.append((answer.token, Fact(True)))
            answer.fact = user.tokens[-1][1]
            answer.fact.made_at = time.monotonic()
            answer.fact.scoped = scope

    def log_in_wrongly(self, user):
        identity = {"methods": ["password"], "password": {"user": {"id": user.id, "password": "wrong"}}}
        answer = self.read("login with a wrong password", "POST", "/v3/auth/tokens", {"auth": {"identity": identity}}, X_Auth_Token=None)
        if answer is not None and answer.status != 401:
            self.wrong("login with a wrong password", answer, 401)

    def log_in_by_token(self, user):
        if not user.tokens or len(user.tokens) > 3 or time.monotonic() < user.ready_at:
            return
        token, fact = self.random.choice(user.tokens)
        if fact.now:
            self.take("login token", user, {"methods": ["token"], "token": {"id": token}}, facts=[fact])
            # What ends the first token may end the second with it, by its audit chain.
            user.tokens = [(one, known) for one, known in user.tokens if one != token]

    def log_in_by_totp(self, user):
        if user.totp is None or time.monotonic() < user.ready_at or len(user.tokens) > 3:
            return
        step = int(time.time()) // 30
        if getattr(user, "totp_step", None) == step or time.time() % 30 > 28:
            return
        user.totp_step = step
        code = passcode(user.totp, step)
        identity = {"methods": ["totp"], "totp": {"user": {"id": user.id, "passcode": code}}}
        self.take("login totp", user, identity)

    def log_in_by_connector(self, _user):
        if self.place.connector is None:
            return
        path = f"/v4/connectors/{self.place.connector}/token"
        answer = self.read("login connector", "POST", path, {}, Authorization=f"Bearer {self.place.jwt()}", X_Auth_Token=None)
        if answer is not None and answer.status != 201:
            self.wrong("login connector", answer, 201)

    def log_in_by_secret(self, user):
        if not user.secrets:
            return self.make_secret(user)
        ident, secret, there = self.random.choice(user.secrets)
        identity = {"methods": ["application_credential"], "application_credential": {"id": ident, "secret": secret}}
        auth = {"auth": {"identity": identity}}
        answer = self.read("login application credential", "POST", "/v3/auth/tokens", auth, X_Auth_Token=None)
        if answer is not None:
            facts = [there, user.there, user.enabled, user.member]
            self.judge("login application credential", answer, *facts, told=answer.status == 201)

    def live(self, user):
        return next((token for token, fact in user.tokens if fact.now and fact.scoped and not fact.before), None)

    def make_secret(self, user):
        token = self.live(user)
        if token is None or not (user.enabled.now and user.member.now):
            return None
        body = {"application_credential": {"name": secrets.token_hex(6)}}
        path = f"/v3/users/{user.id}/application_credentials"
        answer = self.write("create application credential", "POST", path, body, X_Auth_Token=token)
        told = answer.json["application_credential"]
        user.secrets.append((told["id"], told["secret"], Fact.made()))
        return None

    def validate(self, user):
        if not user.tokens:
            return self.log_in(user)
        token, fact = self.random.choice(user.tokens)
        answer = self.read("validate", "GET", "/v3/auth/tokens", X_Subject_Token=token)
        if answer is not None:
            if answer.status not in (200, 404):
                self.wrong("validate", answer, "200 or 404")
            else:
                # The node may not know a new user yet, nor what gives them a role.
                facts = [fact, user.there, *([user.member] if fact.scoped else [])]
                self.judge("validate", answer, *facts, told=answer.status == 200)
        if time.monotonic() - fact.made_at > self.TOKEN_AGE_S:
            user.tokens.remove((token, fact))
        return None

    def revoke(self, user):
        live = [(token, fact) for token, fact in user.tokens if fact.now]
        if live:
            token, fact = live[0]
            self.write("revoke", "DELETE", "/v3/auth/tokens", changes=[(fact, False)], X_Subject_Token=token)

    def ends(self, user):
        """The changes of what ends all tokens of a user."""
        return [(fact, False) for _, fact in user.tokens if fact.now]

    def disable(self, user):
        changes = [(user.enabled, False), *self.ends(user)]
        self.write("disable user", "PATCH", f"/v3/users/{user.id}", {"user": {"enabled": False}}, changes)
        for _ in range(2):
            self.validate(user)
        self.log_in(user)
        # While they are disabled, tokens are refused; what becomes of them after is nobody's promise.
        user.tokens = []
        self.write("enable user", "PATCH", f"/v3/users/{user.id}", {"user": {"enabled": True}}, [(user.enabled, True)])
        user.ready_at = time.monotonic() + TICK_S

    def change_password(self, user):
        fresh = secrets.token_hex(8)
        changes = self.ends(user)
        self.write("change password", "PATCH", f"/v3/users/{user.id}", {"user": {"password": fresh}}, changes)
        old, user.password = user.password, fresh
        user.ready_at = time.monotonic() + max(TICK_S, BOUND_S)
        self.validate(user)
        identity = {"methods": ["password"], "password": {"user": {"id": user.id, "password": old}}}
        began = time.monotonic()
        answer = self.read("login with an old password", "POST", "/v3/auth/tokens", {"auth": {"identity": identity}}, X_Auth_Token=None)
        if answer is not None and answer.status == 201:
            self.journal.say_late("login with an old password", answer.asked_at - began)
        elif answer is not None and answer.status != 401:
            self.wrong("login with an old password", answer, 401)

    def take_role(self, user):
        if not user.member.now:
            return
        changes = [(user.member, False), *((fact, False) for _, fact in user.tokens if fact.now and fact.scoped)]
        changes += [(there, False) for _, _, there in user.secrets]
        self.write("take role", "DELETE", self.grant(user), changes=changes)
        self.validate(user)
        self.log_in(user)
        user.tokens, user.secrets = [], []
        self.write("grant", "PUT", self.grant(user), changes=[(user.member, True)])
        user.ready_at = time.monotonic() + TICK_S

    def change_email(self, user):
        email = f"{secrets.token_hex(4)}@example.org"
        self.write("change user", "PATCH", f"/v3/users/{user.id}", {"user": {"email": email}}, [(user.email, email)])
        self.show(user)

    def show(self, user):
        answer = self.read("show user", "GET", f"/v3/users/{user.id}")
        if answer is None or not self.judge("show user", answer, user.there, told=answer.status == 200):
            return
        if answer.status == 200:
            email = answer.json["user"].get("email")
            lag = user.email.late_by(email, answer.asked_at)
            if lag is None:
                self.wrong("show user", answer, user.email.now)
            elif lag:
                self.journal.say_late("show user", lag)

    def find(self, user):
        answer = self.read("list users", "GET", f"/v3/users?name={user.name}")
        if answer is None:
            return
        found = answer.status == 200 and [one["id"] for one in answer.json["users"]] == [user.id]
        self.judge("list users", answer, user.there, told=found)

    def list_grants(self, user):
        path = f"/v3/role_assignments?user.id={user.id}&scope.project.id={self.place.project}"
        answer = self.read("list assignments", "GET", path)
        if answer is not None:
            found = answer.status == 200 and bool(answer.json["role_assignments"])
            self.judge("list assignments", answer, user.member, told=found)

    def delete(self, user):
        changes = [(user.there, False), *self.ends(user)]
        self.write("delete user", "DELETE", f"/v3/users/{user.id}", changes=changes)
        self.validate(user) if user.tokens else None
        self.show(user)
        self.users.remove(user)
        self.gone.append(user)

    DEEDS = {
        "validate": 30, "show": 8, "find": 5, "list_grants": 4, "log_in": 10, "log_in_by_token": 4,
        "log_in_by_totp": 5, "log_in_by_connector": 5, "log_in_by_secret": 6, "log_in_wrongly": 2, "revoke": 4,
        "change_email": 6, "change_password": 2, "disable": 2, "take_role": 3, "delete": 2,
    }  # fmt: skip

    def run(self):
        names, weights = list(self.DEEDS), list(self.DEEDS.values())
        try:
            while not self.stopping.is_set():
                if len(self.users) < self.USERS:
                    self.create()
                    continue
                user = self.random.choice(self.users)
                deed = self.random.choices(names, weights)[0]
                try:
                    getattr(self, deed)(user)
                except Unknown:
                    if user in self.users:
                        self.leave(user)
                    self.stopping.wait(AFTER_FAILURE_S)
                if self.pause_s:
                    self.stopping.wait(self.pause_s)
        except Exception as crash:
            self.crash = crash
            raise

    def stop(self):
        self.stopping.set()

    # The end

    def settle(self, ports):
        """Holds everything that is known against each of the nodes, some time after the last write."""
        journal = self.journal
        for port in ports:
            client = Client(port, self.place.token)
            for user in self.users:
                self.compare(client, user)
            for user in self.random.sample(self.gone, min(len(self.gone), SETTLED)):
                if (answer := client.ask("GET", f"/v3/users/{user.id}")).status != 404:
                    journal.say_wrong(f"{user.name} was deleted, and {port} says {answer.status}")
            for user in self.left:
                if user.id and (status := client.ask("GET", f"/v3/users/{user.id}").status) not in (200, 404):
                    journal.say_wrong(f"{user.name} is in doubt, and {port} says {status}")
            client.close()
        self.agree(ports)

    def compare(self, client, user):
        say, port = self.journal.say_wrong, client.port
        answer = client.ask("GET", f"/v3/users/{user.id}")
        if answer.status != 200:
            return say(f"{user.name} was created, and {port} says {answer.status}")
        told = answer.json["user"]
        if told.get("email") != user.email.now or told["enabled"] != user.enabled.now:
            say(f"{user.name} at {port} is {told}, not {user.email.now}, {user.enabled.now}")
        granted = client.ask("HEAD", self.grant(user)).status == 204
        if granted != user.member.now:
            say(f"{user.name} at {port}: member {granted}, not {user.member.now}")
        for token, fact in user.tokens:
            if ((status := client.validate(token).status) == 200) != fact.now or status not in (200, 404):
                say(f"a token of {user.name} at {port}: {status}, and it should be {'valid' if fact.now else 'revoked'}")
        if time.monotonic() > user.ready_at:
            if (status := client.login(user.id, user.password).status) != 201:
                say(f"{user.name} at {port}: login {status}")
        return None

    def agree(self, ports):
        """What is in doubt is at least the same everywhere."""
        clients = [Client(port, self.place.token) for port in ports]
        for user in self.random.sample(self.left, min(len(self.left), SETTLED)):
            path = f"/v3/users?name={user.name}"
            told = {json.dumps(strip(client.ask("GET", path).json["users"])) for client in clients}
            if len(told) != 1:
                self.journal.say_wrong(f"nodes differ about {user.name}: {told}")


def strip(users):
    return [{name: value for name, value in user.items() if name != "links"} for user in users]


def passcode(secret, step):
    """RFC 6238 with Keystone's defaults."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Crowd:
    """Workers that run together: `with Crowd(...) as crowd`."""

    def __init__(self, place, ports, workers, pause_s=0.0, first=0, journal=None):
        self.journal = journal or Journal()
        self.workers = [Worker(place, ports, self.journal, first + n, pause_s) for n in range(workers)]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *failure):
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            worker.join(60)

    def settle(self, ports):
        for worker in self.workers:
            worker.settle(ports)
        return [worker.crash for worker in self.workers if worker.crash]
