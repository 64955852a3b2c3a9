"""Runs OpenStack's own tests on a server, and fails on each one that does not end as on Python Keystone 30."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from harness.databases import SERVERS
from harness.servers import Archstone, CachingKeystone, newest_binary

from conformance.features import FEATURES
from conformance.record import differences, record, recorded
from conformance.suite import WORK, run

DATABASES = ("sqlite", "mariadb")
TARGETS = {server.name: server for server in (Archstone, CachingKeystone)}


def arguments():
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("--target", choices=sorted(TARGETS), default="archstone", help="the server to test")
    parser.add_argument("--database", choices=["sqlite", *SERVERS], help="one database; otherwise SQLite and MariaDB")
    parser.add_argument("--features", choices=list(FEATURES), help="one set of features; otherwise each of them")
    parser.add_argument("--tests", metavar="REGEX", help="only tests whose name this finds")
    parser.add_argument("--archstone", metavar="PATH", help="the binary to test (default: the newest under target/)")
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep what Python Keystone makes of these tests, on MariaDB: it answers 500 where SQLite has two writers",
    )
    given = parser.parse_args()
    if given.record:
        given.target, given.database = "keystone", "mariadb"
    if given.target == "archstone":
        binary = given.archstone or newest_binary()
        if binary is None:
            parser.error("no archstone binary: run `cargo build`, or name one with --archstone PATH")
        Archstone.binary = str(Path(binary).absolute())
    return given


def main():
    given = arguments()
    target = TARGETS[given.target]
    differs = False
    for database in [given.database] if given.database else DATABASES:
        target.databases = None if database == "sqlite" else SERVERS[database].for_tests()
        for features in [given.features] if given.features else FEATURES:
            started = time.monotonic()
            name = f"{given.target}-{database}-{features}"
            tests = given.tests or FEATURES[features].tests
            outcomes = run(target, features, WORK / name, tests)
            tell(name, outcomes, time.monotonic() - started)
            if given.record:
                record(features, outcomes, tests)
                continue
            for difference in differences(recorded(features, tests), outcomes):
                differs = True
                print(f"DIFFERENT {difference}")
    return 1 if differs else 0


def tell(name, outcomes, seconds):
    counts = Counter(outcomes.values())
    numbers = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
    print(f"{name}: {numbers} ({seconds:.0f} s, details in {WORK / name})", flush=True)
    for test in sorted(test for test, outcome in outcomes.items() if outcome == "failed"):
        print(f"FAILED {test}")


if __name__ == "__main__":
    sys.exit(main())
