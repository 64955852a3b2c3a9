"""Reports in Markdown, with what has to be so and whether it is."""

import datetime
import os
import platform
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/performance.md"


class Report:
    """Lines of Markdown, printed as they come, and checks that make the run fail."""

    def __init__(self, title):
        self.lines, self.failures = [], []
        self.add(f"## {title}")
        self.add()
        self.add(f"Measured {datetime.date.today()} on {os.cpu_count()} cores ({platform.machine()}), all on loopback.")

    def add(self, *lines):
        for line in lines or ("",):
            self.lines.append(line)
            print(line, flush=True)

    def table(self, heads, rows):
        self.add()
        self.add(f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}")
        for row in rows:
            self.add(f"| {' | '.join(str(cell) for cell in row)} |")

    def check(self, what, holds, found=""):
        """A line that says whether something that has to be so is so."""
        self.add(f"- {'pass' if holds else '**FAIL**'}: {what}{f': {found}' if found != '' else ''}")
        if not holds:
            self.failures.append(f"{what}: {found}")
        return holds

    def note(self, what):
        self.add(f"- note: {what}")

    def end(self, mark, write):
        """Says what failed, puts the report in its place on the page if told to, and gives the exit status."""
        if write:
            put(mark, "\n".join(self.lines))
        for failure in self.failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        return 1 if self.failures else 0


def put(mark, text):
    """Replaces what is between two marks `<!-- mark -->` and `<!-- /mark -->` of the page; adds them at the end."""
    page = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    block = f"<!-- {mark} -->\n{text}\n<!-- /{mark} -->"
    between = re.compile(f"<!-- {mark} -->.*?<!-- /{mark} -->", re.DOTALL)
    page = between.sub(lambda _: block, page) if between.search(page) else f"{page.rstrip()}\n\n{block}\n"
    PAGE.write_text(page)
