"""The objects that the operations are for: made when a piece begins, and again when somebody took one away."""

from functools import cache
from pathlib import Path

import yaml

from differential.rbac.operations import references
from differential.rbac.personas import PERSONAS
from differential.recording import sent
from differential.script import REFERENCE, load, requests_of

HERE = Path(__file__).parent
PROLOGUE = HERE.parent / "prologue.yaml"
#: What tells an object of a list: its id, and what takes the place of one.
IDS = ("id", "access", "oauth_token")


class WorldFailed(Exception):
    """An object of the world could not be made or taken away; the message tells the request and its answer."""


@cache
def recipes():
    """Name of each thing to the steps that make it; a step that is a name is another thing, needed before."""
    made = {persona.name: list(persona.steps()) for persona in PERSONAS if persona.name != "nobody"}
    return {**yaml.safe_load((HERE / "world.yaml").read_text()), **made}


def needed(names):
    """All of these things and what they are made of, each after what it needs."""
    order = []

    def add(name, above=()):
        if name in order or name not in recipes():
            return
        if name in above:
            raise WorldFailed(f"{name} needs itself")
        for step in recipes()[name]:
            inner = {step} if isinstance(step, str) else references(step) | {step.get("as", "admin")}
            for needed_name in sorted(inner - {name}):
                add(needed_name, (*above, name))
        order.append(name)

    for name in names:
        add(name)
    return order


class World:
    """The objects on one side, by the names of world.yaml."""

    def __init__(self, side, names):
        self.side = side
        self.gone = set()
        for request in load(PROLOGUE).requests:
            self.must(request)
        self.things = needed([*(persona.name for persona in PERSONAS), *names])
        for name in self.things:
            self.make(name)

    def make(self, name):
        for step in recipes()[name]:
            for request in [] if isinstance(step, str) else requests_of(step):
                self.must(request)

    def lose(self, name):
        """Notes that somebody took a thing away, and with it what was made of it."""
        self.gone |= {thing for thing in self.things if name in needed([thing])}

    def mend(self, names):
        """Makes those of these things again that somebody took away."""
        for name in [name for name in needed(names) if name in self.gone]:
            self.make(name)
            self.gone.remove(name)

    def admin(self, method, path):
        """The admin makes or takes away what has no name; it may be there already."""
        [request] = requests_of({method.lower(): path})
        self.must(request, but=409 if method == "PUT" else None)

    def must(self, request, but=None):
        reply = sent(self.side, request)
        if reply.status >= 300 and reply.status != but:
            raise WorldFailed(f"{self.side.server.name}: {request}: {reply.status} {reply.text}")

    def names(self):
        """Id of each thing to its name; what the prologue tells of has names of its own."""
        told = [item for known in self.side.names.values() if isinstance(known, dict) for item in known.get("list", [])]
        bootstrapped = {item["id"]: item["name"] for item in told if item.get("name")}
        things = ((name, self.side.names.get(name, {})) for name in recipes())
        inner = [(name, thing["list"][0] if thing.get("list") else thing) for name, thing in things]
        return bootstrapped | {thing[key]: name for name, thing in inner for key in IDS if key in thing}


def thing_at_the_end(path):
    """The thing that the last part of a path names, if it is one: alice of /v3/users/{alice.id}."""
    found = REFERENCE.fullmatch(path.rsplit("/", 1)[-1])
    name = found[1].split(".")[0] if found else None
    return name if name in recipes() else None
