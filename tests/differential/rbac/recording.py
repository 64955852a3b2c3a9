"""Python Keystone's answers to a piece of the table: asked live, and kept under target/ until the piece changes."""

import hashlib
import json

from differential.rbac import asking
from differential.rbac.operations import pieces
from differential.rbac.personas import PERSONAS
from differential.rbac.world import PROLOGUE, needed, recipes
from differential.recording import KEPT_IN
from harness.servers import PythonKeystone


def key(piece, config):
    """Changes with what is asked, by whom, and in which world."""
    rows, everybody = pieces()[piece], [persona.name for persona in PERSONAS]
    things = needed([*everybody, *(name for row in rows for name in asking.things_of(row))])
    told = repr((rows, {name: recipes()[name] for name in things}, everybody, PROLOGUE.read_text(), config))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def kept(piece, config):
    """The cells that Python Keystone 30 answered to this piece, if they are kept."""
    file = KEPT_IN / f"rbac-{piece}-{key(piece, config)}.json"
    return json.loads(file.read_text()) if file.exists() else None


def record(piece, config, directory):
    """Asks a fresh Python Keystone a piece, and keeps and gives the cells."""
    with PythonKeystone(directory, config) as server:
        cells = asking.answers(piece, server)
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    (KEPT_IN / f"rbac-{piece}-{key(piece, config)}.json").write_text(json.dumps(cells))
    return cells
