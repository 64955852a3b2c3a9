#!/usr/bin/env python3
"""Measures Archstone and Python Keystone 30 with the same requests, on one database and one set of keys.

    target/venv/bin/python benches/side_by_side/server.py [--only NAME] [--side SIDE] [--seconds 3] [--write]

Needs Debian's wrk, mariadb-server and memcached, tests/requirements.txt, and a release build of Archstone. The commands
`openstack` and `osc` (in the path, or at $ARCHSTONE_OSC) are timed by hyperfine where it is installed. What docs/performance.md
says of it is written by --write.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benches")]

import bcrypt

import report
from harness.api import Api, lead_catalog_to
from harness.cli import ADMIN
from harness.databases import MariaDb
from harness.servers import Archstone, PythonKeystone, free_port
from wrk import REQUEST_LIMIT_S, LoadFailed, Processes, Request, wrk
from population import Population

CORES = len(os.sched_getaffinity(0))
CLIENTS_PER_CORE = (1, 2, 8)
#: A number of clients is left out where two answers for each of them would take longer than this many times --seconds.
PATIENCE = 6
#: Answers to one client, of which the median is told.
ALONE = 5
PASSWORD = "the password of the benches"
SERVICES = ("compute", "volumev3", "image", "network", "placement", "load-balancer", "orchestration", "dns", "key-manager")


class Keystone(PythonKeystone):
    """Python Keystone with a worker for each core."""

    name = "Keystone"

    def command_line(self):
        words = super().command_line()
        words[words.index("--processes") + 1] = str(CORES)
        # Else it breaks off a long answer where the client is behind with reading for four seconds.
        return [*words, "--socket-timeout", str(REQUEST_LIMIT_S)]


@dataclass
class Side:
    """A server that is measured, and the processes that work for it besides the database."""

    name: str
    server: Archstone | Keystone
    processes: Processes


@dataclass
class Scenario:
    name: str
    title: str
    request: Request
    #: What of an answer's body has to be the same on all sides.
    compared: Callable


# The servers.


@contextlib.contextmanager
def running(program, *words):
    """A program's process, which ends with the block."""
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def sides(directory, wanted):
    """MariaDB's processes and URL, and the sides that are wanted on it, started."""
    with contextlib.ExitStack() as running_now:
        mariadb = MariaDb().start()
        running_now.callback(mariadb.stop)
        config = {
            "database": {"connection": mariadb.fresh()},
            # Keystone's defaults, which the tests do not have: without a backend it remembers for the length of a request.
            "identity": {"password_hash_rounds": "12"},
            "cache": {"enabled": "true"},
            # Keystone ends every list after a thousand entries without this.
            "DEFAULT": {"max_db_limit": "20000"},
        }
        archstone = Archstone(directory / "archstone", config).prepare()
        config |= {
            section: {"key_repository": f"{archstone.directory}/{keys}"}
            for section, keys in [("fernet_tokens", "fernet-keys"), ("fernet_receipts", "receipt-keys"), ("credential", "credential-keys")]
        }
        servers = {
            "archstone": archstone,
            "archstone-uncached": beside_it(Archstone(directory / "uncached", {**config, "token": {"caching": "false"}})),
            "keystone": beside_it(Keystone(directory / "keystone", config)),
        }
        helpers = {}
        if "keystone-cached" in wanted:
            cache = {"enabled": "true", "backend": "dogpile.cache.memory"}
            if program := shutil.which("memcached"):
                port = str(free_port())
                memcached = running_now.enter_context(running(program, "-l", "127.0.0.1", "-p", port, "-U", "0", "-u", "nobody"))
                cache |= {"backend": "oslo_cache.memcache_pool", "memcache_servers": f"127.0.0.1:{port}"}
                helpers["keystone-cached"] = [memcached.pid]
            servers["keystone-cached"] = beside_it(Keystone(directory / "cached", {**config, "cache": cache}))
        started = []
        for name in wanted:
            server = servers[name]
            running_now.callback(server.stop)
            server.start()
            started.append(Side(name, server, Processes(server.process.pid, *helpers.get(name, []))))
        yield Processes(mariadb.process.pid), config["database"]["connection"], started


def beside_it(server):
    """A server on the database and keys that Archstone has made."""
    server.directory.mkdir()
    server.write_config()
    return server


# What is in the database.


def populate(url):
    """Fills the database: a thousand users in one domain, ten thousand in another, ten thousand assignments."""
    slow, fast = (bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds)).decode() for rounds in (12, 4))
    with Population(url) as population:
        small, large, home = (population.domain(name) for name in ("small", "large", "home"))
        population.users(small, range(1_000), slow)
        users = population.users(large, range(1_000, 11_000), slow)
        usual, quick = population.users(home, ["usual", "quick"], slow)
        of_quick = "local_user_id = (SELECT id FROM local_user WHERE user_id = ?)"
        population.query(f"UPDATE password SET password_hash = ? WHERE {of_quick}", fast, quick)
        [project] = population.projects(home, ["home"])
        member, reader = population.role("member"), population.role("reader")
        population.assign("UserProject", [(user, project, member) for user in (usual, quick)])
        population.catalog(SERVICES)

        # Nine of ten assignments to users, most of the others to groups of five, and some that hand down to nine projects.
        parents = population.projects(large, range(50))
        for place, parent in enumerate(parents):
            population.projects(large, range(50 + 9 * place, 59 + 9 * place), parent)
        projects = [row[0] for row in population.query("SELECT id FROM project WHERE domain_id = ? ORDER BY name", large)]
        groups = population.groups(large, range(300))
        population.members([(user, groups[place % 300]) for place, user in enumerate(users[:1_500])])
        roles = (member, reader)
        population.assign("UserProject", [(user, projects[place % 500], roles[place % 2]) for place, user in enumerate(users[:9_000])])
        population.assign("GroupProject", [(groups[place % 300], projects[place % 500], reader) for place in range(900)])
        handed_down = [(user, parents[place % 50], reader) for place, user in enumerate(users[9_000:9_100])]
        population.assign("UserProject", handed_down, inherited=1)
        population.refresh()
    return {"small": small, "large": large, "project": project, "usual": usual, "quick": quick}


def scenarios(api, ids):
    """The requests, with tokens that any side gave, for all sides."""
    scope = {"project": {"id": ids["project"]}}
    admin = api.as_admin()
    user = api.as_user(ids["usual"], PASSWORD, scope)
    creation = {"name": "bench", "roles": [{"name": "member"}]}
    credential = user.post(f"/users/{ids['usual']}/application_credentials", application_credential=creation).ok()
    credential = {key: credential["application_credential"][key] for key in ("id", "secret")}
    asking = {"X-Auth-Token": admin.token}

    def login(method, value, scope=scope):
        auth = {"identity": {"methods": [method], method: value}, **({"scope": scope} if scope else {})}
        return Request("/v3/auth/tokens", "POST", {"auth": auth})

    def password(user):
        return login("password", {"user": {"id": ids[user], "password": PASSWORD}})

    def listing(path):
        return Request(f"/v3/{path}", headers=asking)

    validation = Request("/v3/auth/tokens", headers={**asking, "X-Subject-Token": user.token})
    return [
        Scenario("validate", "validate a token", validation, token),
        Scenario("password", "log in by password", password("usual"), token),
        Scenario("password-4", "log in by password, bcrypt at 4 rounds", password("quick"), token),
        Scenario("token", "log in by token", login("token", {"id": user.token}), token),
        Scenario("credential", "log in by application credential", login("application_credential", credential, None), token),
        Scenario("users-1000", "list 1,000 users", listing(f"users?domain_id={ids['small']}"), items("users", 1_000)),
        Scenario("users-10000", "list 10,000 users", listing(f"users?domain_id={ids['large']}"), items("users", 10_000)),
        Scenario(
            "assignments", "effective roles by 10,000 assignments",
            listing("role_assignments?effective"), items("role_assignments", 10_000),
        ),
    ]  # fmt: skip


def token(body):
    """Whose token it is, and what it gives."""
    said = body["token"]
    services = sorted(service["type"] for service in said["catalog"])
    return said["user"]["id"], said["project"]["id"], sorted(role["name"] for role in said["roles"]), sorted(said["methods"]), services


def items(name, at_least):
    """A list, whatever its order."""

    def compared(body):
        listed = sorted(json.dumps(item, sort_keys=True) for item in body[name])
        assert len(listed) >= at_least, f"{len(listed)} {name} are too few"
        return listed

    return compared


# Measuring.


def ask(side, request):
    """An answer's body, and the seconds it took."""
    began = time.perf_counter()
    answer = Api(side.server)(request.method, request.path, json=request.body, headers=request.headers, timeout=REQUEST_LIMIT_S).ok()
    took = time.perf_counter() - began
    return answer.response.text.replace(side.server.base, ""), took


def answers(scenario, sides):
    """Has every side answer, and gives how long each took for an answer to its only client: {side: seconds}.

    Raises LoadFailed where they do not say the same.
    """
    told, took = {}, {}
    for side in sides:
        text, first = ask(side, scenario.request)
        told[side.name] = scenario.compared(json.loads(text))
        # The first may tell of a server that has just started.
        again = [ask(side, scenario.request)[1] for _ in range(ALONE if first < 1 else 1)]
        took[side.name] = min(first, statistics.median(again))
    if any(each != told[sides[0].name] for each in told.values()):
        raise LoadFailed(f"{scenario.title}: not the same answer from {', '.join(told)}: {first_difference(list(told.values()))}")
    return took


def first_difference(told):
    one, other = told[0], next(each for each in told if each != told[0])
    pairs = next(((a, b) for a, b in zip(one, other) if a != b), ("", ""))
    return f"{len(one)} and {len(other)} parts; {pairs[0]} and {pairs[1]}"[:1000]


def measure(side, database, request, clients, seconds):
    """One row of results: what clients saw, and what the processes spent. None where nobody got an answer in time."""
    before = side.processes.cpu_s(), database.cpu_s()
    result = wrk(side.server.base, request, clients, seconds)
    server, sql = side.processes.cpu_s() - before[0], database.cpu_s() - before[1]
    # It may still work for clients that have left.
    side.processes.settle()
    if not result.requests:
        return None
    return {
        **dataclasses.asdict(result), "per_second": result.per_second, "memory_mib": side.processes.memory_mib(),
        "cpu_s_per_1000": server / result.requests * 1000, "database_cpu_s_per_1000": sql / result.requests * 1000,
    }  # fmt: skip


def run(scenario, sides, database, seconds):
    """Measures a scenario: {side: seconds alone} and {clients per core: {side: results, or None where it would take too long}}."""
    alone = answers(scenario, sides)
    rows = {}
    for per_core in CLIENTS_PER_CORE:
        row = rows[str(per_core)] = {}
        for side in sides:
            clients = per_core * CORES
            needed = max(seconds, math.ceil(2 * per_core * alone[side.name]))
            done = measure(side, database, scenario.request, clients, needed) if needed <= PATIENCE * seconds else None
            row[side.name] = done
            told = f"{done['per_second']:10.1f}/s" if done else "takes too long"
            print(f"  {per_core} clients per core, {side.name:<16}{told}", file=sys.stderr)
    return {"title": scenario.title, "alone_s": alone, "clients_per_core": rows}


def commands(sides, directory, ids):
    """{command: {side: seconds}} of command line clients, by hyperfine. Each logs in every time."""
    if not shutil.which("hyperfine"):
        print("hyperfine was not found: no command is timed", file=sys.stderr)
        return {}
    clouds, output = directory / "clouds.yaml", directory / "hyperfine.json"
    lines = {"openstack user list": [Path(sys.prefix) / "bin/openstack", "user", "list", "--domain", ids["small"]]}
    if osc := os.environ.get("ARCHSTONE_OSC") or shutil.which("osc"):
        words = [osc, "--os-client-config-file", clouds, "identity", "user", "list", "--domain-id", ids["small"]]
        lines["osc identity user list"] = words
    else:
        print("osc was not found: not timed", file=sys.stderr)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment |= {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": "bench", "HOME": str(directory)}
    took = {line: {} for line in lines}
    for side in sides:
        lead_catalog_to(side.server)
        auth = {name.removeprefix("OS_").lower(): value for name, value in ADMIN.items()} | {"auth_url": side.server.url}
        cloud = {"auth": auth, "region_name": "RegionOne", "identity_api_version": "3", "auth_cache": False}
        # JSON is YAML.
        clouds.write_text(json.dumps({"clouds": {"bench": cloud}}))
        for line, words in lines.items():
            subprocess.run(
                ["hyperfine", "-N", "--warmup", "1", "--runs", "3", "--export-json", output, shlex.join(map(str, words))],
                env=environment, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            took[line][side.name] = json.loads(output.read_text())["results"][0]["median"]
    return took


# Telling.

TITLES = {
    "archstone-uncached": "Archstone, uncached", "keystone": "Keystone, uncached",
    "archstone": "Archstone", "keystone-cached": "Keystone, cached",
}  # fmt: skip
#: Like is compared with like.
PAIRS = (("archstone-uncached", "keystone"), ("archstone", "keystone-cached"))
COLUMNS = {
    "requests/s": "per_second", "p50 ms": "p50_ms", "p99 ms": "p99_ms",
    "CPU s per 1,000": "cpu_s_per_1000", "MariaDB's": "database_cpu_s_per_1000",
}  # fmt: skip


def value(results, scenario, per_core, side, key):
    return (results["scenarios"][scenario]["clients_per_core"][str(per_core)].get(side) or {}).get(key)


def cpu(results, scenario, per_core, side):
    """CPU seconds for 1,000 requests, MariaDB's included."""
    spent = [value(results, scenario, per_core, side, key) for key in ("cpu_s_per_1000", "database_cpu_s_per_1000")]
    return None if None in spent else sum(spent)


def ratio(one, other):
    return f"{report.number(one / other)}x" if one and other else "–"


def headline(results):
    """What most ask for: how many requests are answered with two clients per core, and the CPU time they cost."""
    rows = []
    for name, scenario in results["scenarios"].items():
        rates = {side: value(results, name, 2, side, "per_second") for side in TITLES}
        spent = {side: cpu(results, name, 2, side) for side in TITLES}
        cells = []
        for ours, theirs in PAIRS:
            cells += [report.number(rates[ours]), report.number(rates[theirs])]
            cells += [ratio(rates[ours], rates[theirs]), ratio(spent[theirs], spent[ours])]
        rows.append([scenario["title"], *cells])
    columns = [[TITLES[ours], TITLES[theirs], "more requests", "less CPU"] for ours, theirs in PAIRS]
    return report.table(["requests/s", *columns[0], *columns[1]], rows)


def details(results):
    """Everything: each cell tells all sides, in the order of the other tables."""
    rows = []
    for name, scenario in results["scenarios"].items():
        for per_core in CLIENTS_PER_CORE:
            cells = [" / ".join(report.number(value(results, name, per_core, side, key)) for side in TITLES) for key in COLUMNS.values()]
            rows.append([scenario["title"], per_core, *cells])
    return report.table(["", "clients per core", *COLUMNS], rows)


def alone(results):
    """What one client waits for an answer."""
    rows = []
    for scenario in results["scenarios"].values():
        took = scenario["alone_s"]
        times = [report.number(took[side] * 1000) if side in took else "–" for side in TITLES]
        rows.append([scenario["title"], *times, *(ratio(took.get(theirs), took.get(ours)) for ours, theirs in PAIRS)])
    return report.table(["ms to an only client", *TITLES.values(), "quicker uncached", "quicker cached"], rows)


def memory(results):
    def most(side):
        measured = [value(results, name, per_core, side, "memory_mib") for name in results["scenarios"] for per_core in CLIENTS_PER_CORE]
        return max((mib for mib in measured if mib), default=None)

    return report.table(["", *TITLES.values()], [["resident memory at most, MiB", *(report.number(most(side)) for side in TITLES)]])


def clients(results):
    rows = [[f"`{line}`", *(report.number(took.get(side)) for side in TITLES)] for line, took in results["commands"].items()]
    return report.table(["seconds a command takes", *TITLES.values()], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--only", action="append", metavar="NAME", help="a scenario, or `commands`; may be repeated")
    parser.add_argument("--side", action="append", choices=list(TITLES), help="may be repeated")
    parser.add_argument("--write", action="store_true", help="write benches/results/server.json, docs/performance.md and README.md")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.side):
        parser.error("--write takes a whole run")
    Archstone.binary = str(arguments.archstone.absolute())
    # However this ends, the servers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))

    results = {"machine": report.machine(), "date": report.today(), "seconds": arguments.seconds, "scenarios": {}, "commands": {}}
    wanted = [name for name in TITLES if name in (arguments.side or TITLES)]
    with (
        tempfile.TemporaryDirectory(prefix="archstone-bench-") as directory,
        sides(Path(directory), wanted) as (database, url, started),
    ):
        ids = populate(url)
        for scenario in scenarios(Api(started[0].server), ids):
            if arguments.only and scenario.name not in arguments.only:
                continue
            print(scenario.title, file=sys.stderr)
            results["scenarios"][scenario.name] = run(scenario, started, database, arguments.seconds)
        if not arguments.only or "commands" in arguments.only:
            results["commands"] = commands(started, Path(directory), ids)

    tables = [headline(results), alone(results), memory(results), clients(results), details(results)]
    print("\n\n".join(tables))
    if arguments.write:
        report.write_results("server", results)
        origin = f"{results['machine']}, {results['date']}, {arguments.seconds} s for each measurement:"
        report.write_between("docs/performance.md", "server", "\n\n".join([origin, *tables]))
        report.write_between("README.md", "server", tables[0])


if __name__ == "__main__":
    main()
