"""Findings in Markdown: what has to be so and whether it is, printed as they come."""

import sys
from datetime import date

import report


class Findings:
    """The lines of a document's part, and the checks that make the run fail."""

    def __init__(self):
        self.lines, self.failures = [], []
        self.add(f"{date.today()}, {report.machine()}, everything on loopback.")

    def add(self, *lines):
        for line in lines or ("",):
            self.lines.append(line)
            print(line, flush=True)

    def title(self, title):
        self.add("", f"### {title}", "")

    def table(self, head, rows):
        self.add(*report.table(head, rows).splitlines(), "")

    def check(self, what, holds, found=""):
        """A line that says whether something that has to be so is so."""
        found = f": {found}" if found != "" else ""
        self.add(f"- {'pass' if holds else '**FAIL**'}: {what}{found}")
        if not holds:
            self.failures.append(f"{what}{found}")
        return holds

    def none(self, what, found):
        """Checks that there is nothing of what should not be, and shows the first of it."""
        shown = "; ".join(map(str, found[:4]))
        return self.check(what, not found, f"{len(found)}: {shown}" if found else "")

    def note(self, what):
        self.add(f"- {what}")

    def end(self, name, write):
        """Says what failed, puts the findings into the document if told to, and gives the exit status."""
        if write:
            report.write_between("docs/performance.md", name, "\n".join(self.lines))
        for failure in self.failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        return 1 if self.failures else 0
