"""Password hashes of every algorithm, written by either side and verified by the other.

Runs in an environment with keystone==30.0.0. The Rust side is the `hash_password` example of
archstone-identity; ARCHSTONE_HASH_EXAMPLE names one already built.
"""

import json
import os
import pathlib
import subprocess

import pytest

pytest.importorskip("keystone", reason="needs keystone==30.0.0")

import keystone.conf  # noqa: E402
from keystone.common import password_hashing  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

#: Keystone cannot verify its own bcrypt_sha256 hashes with fewer than ten rounds.
ALGORITHMS = [
    ("bcrypt", 4),
    ("bcrypt_sha256", 10),
    ("scrypt", None),
    ("pbkdf2_sha512", 1000),
]
PASSWORDS = {
    "short": "s3cret",
    "empty": "",
    "unicode": "pässwörd ☂ 密码",
    "72-bytes": "x" * 72,
    "cut-inside-a-character": "x" * 71 + "é" + "tail",
    "long": "correct horse battery staple " * 20,
}
PAIRS = [
    pytest.param(algorithm, rounds, password, id=f"{algorithm}-{shape}")
    for algorithm, rounds in ALGORITHMS
    for shape, password in PASSWORDS.items()
]


@pytest.fixture(scope="session")
def example():
    built = os.environ.get("ARCHSTONE_HASH_EXAMPLE")
    if built:
        return built
    build = subprocess.run(
        ["cargo", "build", "--workspace", "--example", "hash_password",
         "--message-format=json"],
        cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    artifacts = [json.loads(line) for line in build.stdout.splitlines()]
    return [artifact["executable"] for artifact in artifacts if artifact.get("executable")][-1]


@pytest.fixture
def archstone(example):
    """Answers one job."""

    def run(**job):
        done = subprocess.run([example], input=json.dumps(job), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    return run


@pytest.fixture
def keystone_hashes():
    """Keystone's hashing, once it is told the algorithm."""
    keystone.conf.configure()
    conf = keystone.conf.CONF
    conf([], project="keystone", default_config_files=[])

    def configured(algorithm, rounds):
        conf.set_override("password_hash_algorithm", algorithm, group="identity")
        conf.set_override("password_hash_rounds", rounds, group="identity")
        return password_hashing

    yield configured
    conf.reset()
    conf.clear_override("password_hash_algorithm", group="identity")
    conf.clear_override("password_hash_rounds", group="identity")


@pytest.mark.parametrize("algorithm, rounds, password", PAIRS)
def test_keystone_verifies_what_archstone_hashed(
    algorithm, rounds, password, archstone, keystone_hashes
):
    hashed = archstone(algorithm=algorithm, rounds=rounds, password=password)
    theirs = keystone_hashes(algorithm, rounds)
    assert theirs.check_password(password, hashed)
    assert not theirs.check_password("wrong " + password, hashed)


@pytest.mark.parametrize("algorithm, rounds, password", PAIRS)
def test_archstone_verifies_what_keystone_hashed(
    algorithm, rounds, password, archstone, keystone_hashes
):
    hashed = keystone_hashes(algorithm, rounds).hash_password(password)
    job = {"algorithm": algorithm, "rounds": rounds, "hash": hashed}
    assert archstone(**job, password=password) == "true"
    assert archstone(**job, password="wrong " + password) == "false"


def test_a_password_hashed_before_the_algorithm_changed_still_works(archstone, keystone_hashes):
    for before, rounds in ALGORITHMS:
        hashed = keystone_hashes(before, rounds).hash_password("s3cret")
        for after, _ in ALGORITHMS:
            verified = archstone(algorithm=after, rounds=10, password="s3cret", hash=hashed)
            assert verified == "true", f"{before} hash, {after} configured"
