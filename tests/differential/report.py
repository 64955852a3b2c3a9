"""Collects what the scripts found, sets known differences apart, and writes the report."""

import re
from collections import Counter
from pathlib import Path

import yaml

from differential.compare import CRASH, DIFFERENT, WORDING

KNOWN = Path(__file__).with_name("known_differences.yaml")


class Report:
    def __init__(self):
        self.known = yaml.safe_load(KNOWN.read_text())
        self.seen = set()
        self.requests = Counter()
        self.lines = {kind: [] for kind in (DIFFERENT, "known", WORDING, CRASH)}

    def add(self, script, number, request, differences):
        """Files each difference of one request, and gives those that nothing explains."""
        self.requests[script] += 1
        unexplained = []
        for difference in differences:
            line = f"{script} #{number} {request}\n    {difference}"
            entry = self.explanation(script, str(request), difference)
            if entry is not None:
                self.seen.add(entry)
                self.lines["known"].append(f"{line}\n    known: {self.known[entry]['reason']}")
            else:
                self.lines[difference.kind].append(line)
                if difference.kind == DIFFERENT:
                    unexplained.append(line)
        return unexplained

    def explanation(self, script, request, difference):
        for index, entry in enumerate(self.known):
            if entry.get("script", script) != script:
                continue
            if re.match(entry["request"], request) and re.fullmatch(entry["where"], difference.where):
                return index
        return None

    def stale(self):
        """Entries about scripts that ran whole, which explained nothing."""
        return [entry for index, entry in enumerate(self.known) if index not in self.seen]

    def summary(self):
        counts = ", ".join(f"{len(lines)} {kind}" for kind, lines in self.lines.items())
        return f"{sum(self.requests.values())} requests in {len(self.requests)} scripts compared; differences: {counts}"

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [f"# {self.summary()}"]
        for kind, lines in self.lines.items():
            parts.append(f"## {kind}\n\n" + "\n".join(lines))
        path.write_text("\n\n".join(parts) + "\n")
