"""A directory with ten thousand people, and servers with a domain that lives in it."""

import json
import shutil

import pytest

from harness import slapd
from harness.api import Api
from harness.plugins import plugin
from harness.servers import Archstone
from harness.slapd import GROUPS, PEOPLE, Slapd, entry, group, person

PEOPLE_COUNT = 10_000
#: Given by the tests: ids of users are made of it, and must be the same on both servers.
DOMAIN = "d0" * 16
LIVING = {"identity": {"domain_specific_drivers_enabled": "true", "domain_configurations_from_database": "true"}}
WEIRD = "o'b(ri)*an\\ \"x\", 100%"


def everybody():
    """The people and groups, as LDIF."""
    for number in range(PEOPLE_COUNT):
        uid = f"u{number:05}"
        password = f"pw-{uid}" if number < 50 else None
        described = {"description": f"Number {number}"} if number % 3 == 0 else {}
        yield person(uid, f"User {number:05}", password, mail=f"{uid}@example.org", **described)
    yield person("gone", "Disabled Person", "pw-gone", flags=514)
    yield person(WEIRD, "Weird *)(uid=*", "pw-weird")
    yield person("lučić", "Đorđe Lučić", "pw-lučić")
    yield entry(f"uid=nameless,{PEOPLE}", objectClass=["account", "simpleSecurityObject"], uid="nameless", userPassword="x")
    yield entry(
        f"ou=elsewhere,{PEOPLE}",
        objectClass=["referral", "extensibleObject"],
        ou="elsewhere",
        ref="ldap://127.0.0.1:1/ou=elsewhere,dc=example,dc=org",
    )
    named = lambda numbers: [f"uid=u{number:05},{PEOPLE}" for number in numbers]
    yield group("staff", [*named(range(10)), f"uid=deleted,{PEOPLE}"], description="Who works here")
    yield group("outer", [f"cn=staff,{GROUPS}", *named([20])])
    yield group("outermost", [f"cn=outer,{GROUPS}", f"cn=outermost,{GROUPS}"])
    yield group("many", named(range(2000)))


@pytest.fixture(scope="session")
def ldap(tmp_path_factory):
    """The directory that all tests share."""
    if slapd.SLAPD is None:
        pytest.fail("there is no slapd: install the package `slapd`")
    with Slapd(tmp_path_factory.mktemp("slapd") / "main", everybody()) as started:
        yield started


def install_plugin(server, **grant):
    """Has the server speak LDAP, to loopback too."""
    built = plugin("ldap")
    directory = server.directory / "plugins"
    directory.mkdir(exist_ok=True)
    grant = {"private_networks": ["127.0.0.0/8"], **grant}
    (directory / "ldap.json").write_text(json.dumps({"grant": {"stream": grant}}))
    shutil.copy(built, directory / "ldap.wasm")


def start_archstone(directory, config=None):
    """A server with the plugin. What the directory says now is what counts, unless the test wants it remembered."""
    own = {"archstone": {"plugin_directory": "{dir}/plugins"}, "cache": {"enabled": "false"}}
    config = {**own, **LIVING, **(config or {})}
    server = Archstone(directory, config).prepare()
    install_plugin(server)
    return server.start()


def make_domain(server, options, name="ldap", domain_id=DOMAIN, **identity):
    """A domain that lives in the directory of these options; gives its id."""
    admin = Api(server).as_admin()
    admin.post("/domains", domain={"name": name, "explicit_domain_id": domain_id}).ok()
    config = {"identity": {"driver": "ldap", **identity}, "ldap": options}
    admin.put(f"/domains/{domain_id}/config", config=config).ok()
    return domain_id


@pytest.fixture(scope="module")
def server(tmp_path_factory, ldap):
    """Archstone with the domain."""
    started = start_archstone(tmp_path_factory.mktemp("archstone") / "main")
    make_domain(started, ldap.options())
    yield started
    started.stop()
