"""Runs each script against the target and compares every answer with Python Keystone 30's.

Archstone's answers are also checked by its OpenAPI document.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from differential.compare import Comparison, Difference
from differential.recording import record, recorded, sent
from differential.script import Script, ScriptError, Side, load
from harness.document import Document
from harness.servers import TARGETS, Archstone, PythonKeystone

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent / "scripts").glob("*.yaml"))
SHOWN = 40
#: Scripts that compare and find things by name. The collation of Keystone's tables on MariaDB does not tell "Alice" from
#: "alice", so that these are held against Python Keystone on the same database.
ABOUT_NAMES = {"authentication", "domains", "groups", "limits", "projects", "roles", "users"}


def whole_script(name):
    """The script after the prologue, which logs the admin in and tells the bootstrapped objects of both sides."""
    prologue = load(Path(__file__).with_name("prologue.yaml"))
    script = load(Path(__file__).parent / "scripts" / f"{name}.yaml")
    return Script(prologue.requests + script.requests, script.config, len(prologue.requests))


@pytest.fixture(scope="session")
def originals(request, tmp_path_factory):
    """Python Keystone's answers to each chosen script, asked for in the background where they are not kept."""
    fresh = request.config.getoption("--fresh")
    database = request.config.getoption("--database")

    def original(name, directory):
        script, databases = whole_script(name), None
        if database != "sqlite" and name in ABOUT_NAMES:
            name, databases = f"{name}.{database}", TARGETS[request.config.getoption("--target")].databases
        kept = None if fresh else recorded(name, script)
        return kept or record(name, script, directory, databases)

    tests = [item for item in request.session.items if item.originalname == "test_answers_as_python_keystone_does"]
    chosen = [test.callspec.params["name"] for test in tests]
    with ThreadPoolExecutor(os.cpu_count()) as recorders:
        yield {name: recorders.submit(original, name, tmp_path_factory.mktemp(name)) for name in chosen}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_as_python_keystone_does(name, originals, target_class, tmp_path, report, request):
    script, (original, replies) = whole_script(name), originals[name].result()
    unexplained = []
    with target_class(tmp_path / "target", script.config) as server:
        target, comparison = Side(server), Comparison(original, server.base)
        document = Document.of(server) if target_class is Archstone else None
        for number, (step, expected) in enumerate(zip(script.requests, replies), 1 - script.prologue):
            if request.config.getoption("verbose") > 1:
                print(f"{name} #{number} {expected.status} {step}\n      {expected.text[:300]}")
            try:
                got = sent(target, step)
                differences = comparison.reply(expected, got, step.compare == "shape")
                if step.compare == "status":
                    differences = [difference for difference in differences if difference.where == "status"]
                if target_class is PythonKeystone and got.status == expected.status == 500:
                    differences = []
                if document:
                    faults = document.faults(step.method, target.fill(step.path), got.status, got.headers, got.text)
                    unexplained += [f"{name} #{number} {step}: not as documented: {fault}" for fault in faults]
            except (ScriptError, OSError, HTTPException) as failure:
                differences = [Difference("request", expected.status, f"{type(failure).__name__}: {failure}")]
            unexplained += report.add(name, number, step, differences)
    if unexplained:
        shown = "\n".join(unexplained[:SHOWN])
        said = f"{len(unexplained)} differences from Python Keystone, or from the document"
        pytest.fail(f"{said}:\n{shown}", pytrace=False)


def test_every_known_difference_still_occurs(report, request):
    """Runs after the scripts; says nothing when only some of them were chosen."""
    if set(report.requests) != set(SCRIPTS) or request.config.getoption("--target") != "archstone":
        pytest.skip("not all scripts ran against Archstone")
    assert not report.stale()
