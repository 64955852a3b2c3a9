#!/usr/bin/env python3
"""Logs somebody of an LDAP directory in: with Archstone, with Python Keystone, and with nothing but LDAP.

    target/venv/bin/python benches/side_by_side/ldap_login.py [--archstone PATH] [--json]

All three ask the same slapd, over plain LDAP on loopback. "LDAP alone" is what a login asks of a
directory, by libldap on connections that are open already: one search and one bind. Needs the
plugin (`cargo xtask plugins`) and a release build for numbers that mean something.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

NAME, UID = "User 00003", "u00003"


def median(work, seconds):
    """The median time of `work` in milliseconds, after some warm-up."""
    for _ in range(10):
        work()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def ldap_alone(slapd):
    import ldap
    from harness.slapd import PEOPLE, READER, READER_PASSWORD

    reader, spare = ldap.initialize(slapd.url), ldap.initialize(slapd.url)
    reader.simple_bind_s(READER, READER_PASSWORD)

    def work():
        [(dn, _)] = [one for one in reader.search_s(PEOPLE, ldap.SCOPE_SUBTREE, f"(&(cn={NAME})(objectClass=inetOrgPerson))") if one[0]]
        spare.simple_bind_s(dn, f"pw-{UID}")

    return work


def login(server):
    from directory.conftest import DOMAIN
    from harness.api import Api

    api = Api(server)
    who = {"name": NAME, "domain": {"id": DOMAIN}, "password": f"pw-{UID}"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}

    def work():
        assert api("POST", "/auth/tokens", json=body).status == 201

    return work


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archstone", type=pathlib.Path, default=REPOSITORY / "target/release/archstone")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", action="store_true", help="print milliseconds as JSON")
    arguments = parser.parse_args()

    from directory.conftest import LIVING, everybody, make_domain, start_archstone
    from harness.servers import Archstone, CachingKeystone
    from harness.slapd import Slapd

    Archstone.binary = str(arguments.archstone.absolute())
    took = {}
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        with Slapd(directory / "slapd", everybody()) as slapd:
            took["LDAP alone"] = median(ldap_alone(slapd), arguments.seconds)
            # As operators have it: both remember what a directory said a moment ago.
            archstone = start_archstone(directory / "archstone", {"cache": {"enabled": "true"}})
            try:
                make_domain(archstone, slapd.options())
                took["Archstone"] = median(login(archstone), arguments.seconds)
            finally:
                archstone.stop()
            with CachingKeystone(directory / "keystone", LIVING) as keystone:
                make_domain(keystone, slapd.options())
                took["Python Keystone 30"] = median(login(keystone), arguments.seconds)
    if arguments.json:
        print(json.dumps(took))
        return
    print(f"{'':<24}{'a login':>12}{'to LDAP alone':>16}")
    for name, milliseconds in took.items():
        print(f"{name:<24}{milliseconds:>9.2f} ms{milliseconds / took['LDAP alone']:>15.2f}x")


if __name__ == "__main__":
    main()
