"""Tempest in a virtual environment of its own, and what became of each of its tests."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

from harness.api import lead_catalog_to
from harness.servers import ADMIN_PASSWORD, ServerFailed, ini

from conformance.features import FEATURES, tempest_options

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "target" / "conformance"
#: The attributes that tempest writes behind a test's name.
ATTRIBUTES = re.compile(r"\[[^]]*\]$")
OUTCOMES = {"success": "passed", "failure": "failed", "skip": "skipped"}


def environment():
    """The `bin` directory of tempest's virtual environment, made from requirements.txt; quick when nothing changed."""
    wanted = (HERE / "requirements.txt").read_bytes()
    directory = WORK / "venv"
    stamp = directory / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = [directory / "bin" / "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
        subprocess.run(install, check=True)
        stamp.write_bytes(wanted)
    return directory / "bin"


def run(target, features, directory, tests):
    """Starts a server of the class `target`, runs the suite on it, and gives the outcome of each test by its name.

    The directory is made anew and keeps the server's files, tempest's log, and the failures in `output.txt`.
    """
    programs = environment()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with target(directory / "server", FEATURES[features].server) as server:
        lead_catalog_to(server)
        options = tempest_options(features, server.url, ADMIN_PASSWORD, directory)
        (directory / "tempest.conf").write_text(ini(options))
        return tempest(programs, directory, tests)


def tempest(programs, directory, tests):
    """Runs tempest as configured in the directory."""

    def program(name, *arguments, **streams):
        return subprocess.run([programs / name, *arguments], cwd=directory, text=True, **streams)

    with open(directory / "output.txt", "w") as output:
        selection = ["--regex", tests, "--concurrency", "2"]
        program("tempest", "run", "--config-file", "tempest.conf", *selection, stdout=output, stderr=output)
    with open(directory / "results.subunit", "w+b") as results:
        program("stestr", "last", "--subunit", stdout=results)
        results.seek(0)
        table = program("subunit2csv", stdin=results, stdout=subprocess.PIPE).stdout
    outcomes = {}
    for test in csv.DictReader(table.splitlines()):
        # A class that cannot be set up is told of under one name more than once.
        name, outcome = ATTRIBUTES.sub("", test["test"]), OUTCOMES.get(test["status"], "failed")
        outcomes[name] = "failed" if "failed" in (outcome, outcomes.get(name)) else outcome
    if not outcomes:
        raise ServerFailed(f"tempest ran no test:\n{(directory / 'output.txt').read_text()[-4000:]}")
    return outcomes
