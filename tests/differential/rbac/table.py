"""The table as a file that people read: a row for each operation on something, a column for each persona.

A cell is a status; a letter after it tells which of the sets under the row a list shows.
"""

from dataclasses import dataclass
from pathlib import Path

from differential.rbac.asking import key
from differential.rbac.operations import pieces
from differential.rbac.personas import PERSONAS

#: Options of both servers: a piece takes Python Keystone longer than tokens last by default.
PATIENT = {"token": {"expiration": 36000}}
INTRODUCTION = """\
Who may do what: Python Keystone 30's answers. Made by `python -m differential.rbac`; see docs/contributing.md.

Each rule with its operations; under each operation what it is done to: something of the domain `home` or of `away`,
the persona's `own`, or `any` where that makes no difference. A cell is the status of the answer, `.` where nobody
asked. `200a` shows the objects that are listed under `a`.
"""
WIDTH = 8
LABEL = 30


@dataclass(frozen=True)
class Table:
    """A committed table: its file, the options of both servers, and the pieces that it has."""

    name: str
    config: dict
    pieces: tuple

    @property
    def file(self):
        return Path(__file__).parents[1] / f"{self.name}.txt"

    def read(self):
        return parse(self.file.read_text())


#: The rules as they are, and with what operators can keep of the past.
TABLES = [
    Table("rbac", PATIENT, tuple(pieces())),
    Table(
        "rbac_old_defaults",
        {**PATIENT, "oslo_policy": {"enforce_new_defaults": "false"}},
        ("users", "domains", "credentials", "application_credentials", "trusts", "tokens"),
    ),
]


def render(config, cells):
    """The file: `cells` holds those of each piece, row by row."""
    lines = [f"# {line}".rstrip() for line in INTRODUCTION.splitlines()]
    lines += [f"# [{section}] {option} = {value}" for section, told in config.items() for option, value in told.items()]
    lines.append("")
    for line in (0, 1):
        lines.append(("#" + " " * (LABEL - 1) + "".join(f"{p.heading[line]:{WIDTH}}" for p in PERSONAS)).rstrip())
    for piece, rows in cells.items():
        lines += ["", f"== {piece} {key(piece, config)}"]
        above = None, None
        for row, answers in zip(pieces()[piece], rows, strict=True):
            if row.rule != above[0]:
                lines += ["", row.rule]
            if (row.rule, row.operation) != above:
                lines.append(f"  {row.operation}")
            above = row.rule, row.operation
            lines += rendered(row.name, answers)
    return "\n".join(lines) + "\n"


def rendered(name, answers):
    sets = sorted({text for text in map(shown, answers) if text is not None})
    letters = {text: chr(ord("a") + number) for number, text in enumerate(sets)}
    cells = "".join(f"{answer.split(' ')[0] + letters.get(shown(answer), ''):{WIDTH}}" for answer in answers)
    yield f"    {name:{LABEL - 4}}{cells}".rstrip()
    yield from (f"        {letter}: {text}".rstrip() for text, letter in letters.items())


def shown(answer):
    """What the list of a cell shows: `a, b` of `200 [a, b]`."""
    return answer.split(" ", 1)[1].strip("[]") if " " in answer else None


def parse(text):
    """Piece to (its key, the cells of its rows), of a rendered table."""
    found = {}
    for line in text.splitlines():
        if line.startswith("== "):
            _, piece, told = line.split(" ")
            found[piece] = told, []
        elif line.startswith("        ") and found:
            letter, _, names = line.strip().partition(":")
            answers = found[piece][1][-1]
            answers[:] = [f"{cell[:-1]} [{names.strip()}]" if cell.endswith(letter) else cell for cell in answers]
        elif line.startswith("    ") and found:
            found[piece][1].append(line[LABEL:].split())
    return found
