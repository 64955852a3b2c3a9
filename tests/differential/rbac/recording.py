"""Python Keystone's answers to a piece of a table: asked live, and kept under target/ until the piece changes."""

from differential import recording
from differential.rbac import asking
from harness.servers import CachingKeystone


def names(table, piece):
    """The name and the key that the cells are kept under."""
    return f"{table.name}-{piece}", asking.key(piece, table.config)


def kept(table, piece):
    """The cells that Python Keystone 30 answered to this piece, if they are kept."""
    return recording.kept(*names(table, piece))


def record(table, piece, directory):
    """Asks a fresh Python Keystone a piece, and keeps and gives the cells."""
    with CachingKeystone(directory, table.config) as server:
        cells = asking.answers(piece, server)
    recording.keep(*names(table, piece), cells)
    return cells
