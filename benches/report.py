"""Puts what was measured into the documents, between markers."""

import datetime
import json
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def table(head, rows):
    """A table in Markdown; the first column is text, the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def number(value):
    """Three digits that count: 0.123, 1.23, 12.3, 123, 1,234."""
    if value is None:
        return "–"
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}"


def write_between(document, name, text):
    """Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a document of the repository."""
    path = REPOSITORY / document
    before, begin, rest = path.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not (begin and end):
        raise SystemExit(f"{document} has no place for {name}")
    path.write_text(f"{before}{begin}{text}\n{end}{after}")


def write_results(name, results):
    path = REPOSITORY / "benches/results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    return path


def machine():
    """The processor and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{sum(line.startswith('processor') for line in lines)} cores of {model}"


def today():
    return datetime.date.today().isoformat()
