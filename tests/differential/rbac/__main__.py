"""Makes the tables again: `python -m differential.rbac`, in tests/. Asks Python Keystone only what is not kept."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from differential.rbac import recording
from differential.rbac.table import TABLES, render


def original(table, piece, directory):
    cells = recording.kept(table, piece)
    if cells is None:
        print(f"asking {table.name}, {piece}", flush=True)
        cells = recording.record(table, piece, directory / table.name / piece)
    return cells


with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(os.cpu_count()) as recorders:
    asked = {
        table.name: {piece: recorders.submit(original, table, piece, Path(home)) for piece in table.pieces}
        for table in TABLES
    }
    for table in TABLES:
        cells = {piece: answer.result() for piece, answer in asked[table.name].items()}
        table.file.write_text(render(table.config, cells))
