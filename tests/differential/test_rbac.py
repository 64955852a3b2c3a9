"""Asks Archstone everything that the table of who may do what holds, and compares every cell."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from differential.rbac import asking, recording
from differential.rbac.operations import pieces
from differential.rbac.personas import PERSONAS
from differential.rbac.table import TABLES, parse, render

KNOWN = Path(__file__).parent / "rbac" / "known.yaml"
SHOWN = 60
EACH_PIECE = pytest.mark.parametrize(
    ("table", "piece"),
    [pytest.param(table, piece, id=f"{table.name}-{piece}") for table in TABLES for piece in table.pieces],
)


@pytest.fixture(scope="session")
def known():
    """The differences that are wanted, and the numbers of those that occurred."""
    return yaml.safe_load(KNOWN.read_text()), set()


@pytest.fixture(scope="session")
def originals(request, tmp_path_factory):
    """Python Keystone's answers to each chosen piece, asked for again in the background."""
    tests = [item for item in request.session.items if item.originalname == "test_the_table_is_current"]
    chosen = [(test.callspec.params["table"], test.callspec.params["piece"]) for test in tests]
    with ThreadPoolExecutor(os.cpu_count()) as recorders:
        yield {
            (table.name, piece): recorders.submit(
                recording.record, table, piece, tmp_path_factory.mktemp(piece) / "keystone"
            )
            for table, piece in chosen
        }


@pytest.mark.timeout(7200)
@EACH_PIECE
def test_the_table_is_current(table, piece, request):
    if not request.config.getoption("--fresh"):
        pytest.skip("asks Python Keystone again with --fresh")
    fresh = request.getfixturevalue("originals")[table.name, piece].result()
    _, committed = table.read()[piece]
    assert not list(differences(piece, committed, fresh))


@pytest.mark.timeout(1800)
@EACH_PIECE
def test_everybody_may_do_what_python_keystone_lets_them(table, piece, target_class, tmp_path, known, request):
    key, expected = table.read().get(piece, (None, None))
    if key != asking.key(piece, table.config):
        pytest.fail(f"{table.file.name} is too old for {piece}: run `python -m differential.rbac`", pytrace=False)
    with target_class(tmp_path / "target", table.config) as server:
        got = asking.answers(piece, server)
    unexplained = [
        f"{table.name}: {row}, {persona}: keystone {one}, {server.name} {other}"
        for row, persona, one, other in differences(piece, expected, got)
        if not explained(known, row, persona, one, other)
    ]
    if unexplained:
        shown = "\n".join(unexplained[:SHOWN])
        pytest.fail(f"{len(unexplained)} differences from Python Keystone:\n{shown}", pytrace=False)


def test_every_difference_that_is_known_still_occurs(known, request):
    """Runs after the pieces; says nothing when only some of them were chosen."""
    entries, occurred = known
    ran = [item for item in request.session.items if "table" in getattr(getattr(item, "callspec", None), "params", {})]
    if len(ran) < 2 * sum(len(table.pieces) for table in TABLES) or request.config.getoption("--target") != "archstone":
        pytest.skip("not the whole table was asked of Archstone")
    assert not [entry for number, entry in enumerate(entries) if number not in occurred]


def test_a_rendered_table_can_be_read_again():
    piece = "domains"
    cells = [[*["200 [a, b]", "200", "200 []", "403"], *["."] * (len(PERSONAS) - 4)] for _ in pieces()[piece]]
    key = asking.key(piece, {})
    assert parse(render({}, {piece: cells})) == {piece: (key, cells)}


def differences(piece, expected, got):
    """The row, the persona and both cells wherever they differ."""
    for row, left, right in zip(pieces()[piece], expected, got, strict=True):
        for persona, one, other in zip(PERSONAS, left, right, strict=True):
            if one != other:
                yield f"{row.rule} {row.operation} {row.name}", persona.name, one, other


def explained(known, row, persona, one, other):
    """Whether an entry of known.yaml tells of this difference."""
    entries, occurred = known
    for number, entry in enumerate(entries):
        same = entry["keystone"] == one and entry["archstone"] == other
        if same and re.fullmatch(entry["row"], row) and re.fullmatch(entry.get("persona", ".*"), persona):
            occurred.add(number)
            return True
    return False
