"""Python Keystone's answers to a piece of a table: asked live, and kept under target/ until the piece changes."""

import json

from differential.rbac import asking
from differential.recording import KEPT_IN
from harness.servers import CachingKeystone


def file_of(table, piece):
    return KEPT_IN / f"{table.name}-{piece}-{asking.key(piece, table.config)}.json"


def kept(table, piece):
    """The cells that Python Keystone 30 answered to this piece, if they are kept."""
    file = file_of(table, piece)
    return json.loads(file.read_text()) if file.exists() else None


def record(table, piece, directory):
    """Asks a fresh Python Keystone a piece, and keeps and gives the cells."""
    with CachingKeystone(directory, table.config) as server:
        cells = asking.answers(piece, server)
    for old in KEPT_IN.glob(f"{table.name}-{piece}-????????????????.json"):
        old.unlink()
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    file_of(table, piece).write_text(json.dumps(cells))
    return cells
