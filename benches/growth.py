#!/usr/bin/env python3
"""Measures what requests cost as users, projects, groups, roles and connectors grow to a thousand times their number.

    target/venv/bin/python benches/growth.py [--only DIMENSION] [--database mariadb] [--write]

Each grows alone, from ten to ten thousand, in a database of its own. Needs tests/requirements.txt, benches/requirements.txt,
the plugin `jwt` (cargo xtask plugins), and a release build of Archstone. docs/performance.md is written by --write.
"""

import argparse
import http.client
import json
import math
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

import bcrypt
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

import report
from harness.api import Api
from harness.databases import MariaDb
from harness.plugins import plugin
from harness.servers import Archstone
from wrk import Processes, Request
from population import Population

BASE = 10
STEPS = (1, 10, 100, 1000)
DIMENSIONS = ("users", "projects", "groups", "roles", "connectors")
#: A request is repeated so often, or for so long, and at least three times.
REPEATS, REPEAT_S, WARM_UP = 40, 3, 3
#: What a step's exponent above this is called, the steepest first.
VERDICTS = ((1.5, "**quadratic**"), (0.7, "linear"))
PASSWORD = "the password of the benches"
OPERATIONS = {
    "validate": "validate a token",
    "login": "log in by password",
    "connector-login": "log in by a connector",
    "page": "list the first twenty of what grows",
    "project-assignments": "effective roles on one project",
    "assignments": "effective roles of everybody",
    "start": "start the server",
}


class World:
    """A server, and ten of everything around one user who is measured."""

    def __init__(self, server):
        self.server = server.prepare()
        plugins = server.directory / "plugins"
        plugins.mkdir(exist_ok=True)
        # It has its keys, and asks nobody; but without a grant it is not taken in.
        (plugins / "jwt.json").write_text(json.dumps({"grant": {"http": {"origins": ["https://id.example"]}}}))
        self.server.archstone("plugin", "install", plugin("jwt"))
        self.url = self.server.config["database"]["connection"].replace("{dir}", str(server.directory))
        self.size = dict.fromkeys(DIMENSIONS, 0)
        self.key = ec.generate_private_key(ec.SECP256R1())
        with self.population() as population:
            self.domain = population.domain("grown")
            self.password_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
            self.member, self.reader = population.role("member"), population.role("reader")
            [self.user] = population.users(self.domain, ["measured"], self.password_hash)
            [self.project] = population.projects(self.domain, ["measured"])
            [group] = population.groups(self.domain, ["measured"])
            population.members([(self.user, group)])
            population.assign("UserProject", [(self.user, self.project, self.member)])
            population.assign("GroupProject", [(group, self.project, self.reader)])
            population.assign("UserDomain", [(self.user, self.domain, self.reader)], inherited=1)
        self.server.start()
        admin = Api(self.server).as_admin()
        self.connector = admin.post("/v4/connectors", connector=self.a_connector()).ok()["connector"]
        self.admin_token = admin.token
        self.token = admin.login(self.user, PASSWORD, self.scope).ok().token
        self.ids = {}
        for dimension in DIMENSIONS:
            self.grow(dimension, BASE)

    @property
    def scope(self):
        return {"project": {"id": self.project}}

    def population(self):
        return Population(self.url)

    def a_connector(self):
        """One whose tokens this program signs."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}]
        config = {"keys": {"keys": [public]}, "audiences": ["cloud"], "bound_claims": {"sub": "*"}}
        return {"name": "measured", "plugin": "jwt", "domain_id": self.domain, "config": config, "mapping": {"rules": rules}}

    def grow(self, dimension, size):
        """Grows one thing to a size. What is added belongs to the ten of the others that there are anyhow."""
        numbers = range(self.size[dimension], size)
        with self.population() as population:
            add = getattr(self, f"add_{dimension}")
            made = add(population, numbers)
            self.ids.setdefault(dimension, made)
            population.refresh()
        self.size[dimension] = size

    def some(self, dimension, numbers):
        return [self.ids[dimension][number % BASE] for number in numbers]

    def add_users(self, population, numbers):
        made = population.users(self.domain, numbers, self.password_hash)
        if "groups" in self.ids:
            population.members(zip(made, self.some("groups", numbers)))
            population.assign("UserProject", [(user, project, self.member) for user, project in zip(made, self.some("projects", numbers))])
        return made

    def add_projects(self, population, numbers):
        made = population.projects(self.domain, numbers)
        population.assign("UserProject", [(user, project, self.reader) for user, project in zip(self.some("users", numbers), made)])
        return made

    def add_groups(self, population, numbers):
        made = population.groups(self.domain, numbers)
        population.members(zip(self.some("users", numbers), made))
        population.assign("GroupProject", [(group, project, self.reader) for group, project in zip(made, self.some("projects", numbers))])
        return made

    def add_roles(self, population, numbers):
        made = population.roles(numbers)
        population.assign("UserProject", zip(self.some("users", numbers), self.some("projects", numbers), made))
        return made

    def add_connectors(self, population, numbers):
        return population.connectors(self.connector["id"], numbers)

    def requests(self, dimension):
        """What is measured."""
        asking = {"X-Auth-Token": self.admin_token}
        identity = {"methods": ["password"], "password": {"user": {"id": self.user, "password": PASSWORD}}}
        claims = {"sub": "worker", "aud": "cloud", "iat": int(time.time()), "exp": int(time.time()) + 3600}
        bearer = jwt.encode(claims, self.key, algorithm="ES256")
        way_in = f"/v3/OS-FEDERATION/identity_providers/{self.connector['id']}/protocols/{self.connector['protocol_id']}/auth"
        listed = f"/v4/{dimension}" if dimension == "connectors" else f"/v3/{dimension}"
        assignments = "/v3/role_assignments?effective"
        return {
            "validate": Request("/v3/auth/tokens", headers={**asking, "X-Subject-Token": self.token}),
            "login": Request("/v3/auth/tokens", "POST", {"auth": {"identity": identity, "scope": self.scope}}),
            "connector-login": Request(way_in, "POST", headers={"Authorization": f"Bearer {bearer}"}),
            "page": Request(f"{listed}?limit=20", headers=asking),
            "project-assignments": Request(f"{assignments}&scope.project.id={self.project}", headers=asking),
            "assignments": Request(assignments, headers=asking),
        }

    def median_ms(self, request):
        """The median time of an answer to one client on one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        headers = {**request.headers, **({"Content-Type": "application/json"} if request.body else {})}
        body = json.dumps(request.body) if request.body else None

        def ask():
            began = time.perf_counter()
            connection.request(request.method, request.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if not 200 <= answer.status < 300:
                raise SystemExit(f"{request.method} {request.path} -> {answer.status}: {text[:500]!r}")
            return (time.perf_counter() - began) * 1000

        end = time.monotonic() + REPEAT_S
        for _ in range(WARM_UP):
            ask()
        times = []
        while len(times) < 3 or (len(times) < REPEATS and time.monotonic() < end):
            times.append(ask())
        connection.close()
        return statistics.median(times)


def measure(dimension, directory):
    """{operation: {size: milliseconds}} as one thing grows."""
    # A token that is remembered would hide what it costs to validate it.
    config = {"archstone": {"plugin_directory": "{dir}/plugins"}, "token": {"caching": "false"}}
    server = Archstone(directory / dimension, config)
    took = {operation: {} for operation in OPERATIONS}
    try:
        world = World(server)
        for step in STEPS:
            size = BASE * step
            server.stop()
            world.grow(dimension, size)
            began = time.perf_counter()
            server.start()
            took["start"][size] = (time.perf_counter() - began) * 1000
            Processes(server.process.pid).settle()
            for operation, request in world.requests(dimension).items():
                took[operation][size] = world.median_ms(request)
            told = ", ".join(f"{name} {report.number(times[size])}" for name, times in took.items())
            print(f"{dimension} {size}: {told}", file=sys.stderr)
    finally:
        server.stop()
    return took


def exponents(times):
    """How steep each step is: 0 costs the same, 1 grows as what is stored, 2 as its square."""
    steps = list(zip(times, list(times)[1:]))
    return [math.log(times[larger] / times[smaller]) / math.log(larger / smaller) for smaller, larger in steps]


def table(results):
    rows = []
    for operation, title in OPERATIONS.items():
        for dimension, took in results["milliseconds"].items():
            steepest = max(exponents(took[operation]))
            verdict = next((word for least, word in VERDICTS if steepest > least), "")
            rows.append([title, dimension, *map(report.number, took[operation].values()), f"{steepest:.1f}", verdict])
    sizes = [f"{BASE * step:,}" for step in STEPS]
    return report.table(["ms", "what grows", *sizes, "steepest exponent", ""], rows)


def plot(results, directory):
    """One SVG for each operation; gives the lines of Markdown that show them."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "archstone", "font.size": 9})
    directory.mkdir(exist_ok=True)
    everything = [ms for took in results["milliseconds"].values() for times in took.values() for ms in times.values()]
    # The same scale in all of them, from one power of ten to another.
    scale = [10 ** math.floor(math.log10(min(everything))), 10 ** math.ceil(math.log10(max(everything)))]
    lines = []
    for operation, title in OPERATIONS.items():
        figure, axes = pyplot.subplots(figsize=(4.5, 3))
        for dimension, took in results["milliseconds"].items():
            axes.loglog(list(took[operation]), list(took[operation].values()), marker="o", markersize=3, label=dimension)
        axes.set(title=title, xlabel="number of what grows", ylabel="ms", ylim=scale)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(directory / f"{operation}.svg", metadata={"Date": None})
        pyplot.close(figure)
        lines.append(f"![{title}]({directory.name}/{operation}.svg)")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--database", choices=["sqlite", "mariadb"], default="sqlite")
    parser.add_argument("--only", action="append", choices=DIMENSIONS, help="may be repeated")
    parser.add_argument("--write", action="store_true", help="write benches/results/growth.json, the plots and docs/performance.md")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.database != "sqlite"):
        parser.error("--write takes a whole run on SQLite")
    Archstone.binary = str(arguments.archstone.absolute())
    # However this ends, the servers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if arguments.database == "mariadb":
        Archstone.databases = MariaDb().start()
    results = {"machine": report.machine(), "date": report.today(), "database": arguments.database, "milliseconds": {}}
    try:
        with tempfile.TemporaryDirectory(prefix="archstone-growth-") as directory:
            for dimension in arguments.only or DIMENSIONS:
                results["milliseconds"][dimension] = measure(dimension, Path(directory))
    finally:
        if Archstone.databases:
            Archstone.databases.stop()
    print(table(results))
    if arguments.write:
        report.write_results("growth", results)
        origin = f"{results['machine']}, {results['date']}:"
        shown = [origin, plot(results, REPOSITORY / "docs/performance"), table(results)]
        report.write_between("docs/performance.md", "growth", "\n\n".join(shown))


if __name__ == "__main__":
    main()
