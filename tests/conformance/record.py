"""What Python Keystone 30 made of each test, kept in `keystone-30.txt`: one column for each set of features."""

import re
from pathlib import Path

from conformance.features import FEATURES

KEPT_IN = Path(__file__).parent / "keystone-30.txt"
#: How the outcome of a class is named: "setUpClass (the.class)".
CLASS_STEP = re.compile(r"^\w+ \(|\)$")
#: Stands for a test that did not run: its class was skipped, or could not be set up.
ABSENT = "-"
HEAD = f"""\
# What Python Keystone 30 makes of OpenStack's own tests. Made by: python -m conformance --record
# Columns: {", ".join(FEATURES)}, test
"""


def recorded(features, tests=""):
    """The outcome of each test whose name the expression finds, with these features."""
    column = list(FEATURES).index(features)
    lines = [line.split(maxsplit=len(FEATURES)) for line in read()]
    return {line[-1]: line[column] for line in lines if line[column] != ABSENT and chosen(line[-1], tests)}


def record(features, outcomes, tests):
    """Replaces what is kept of these features and of the tests whose name the expression finds."""
    kept = {name: outcome for name, outcome in recorded(features).items() if not chosen(name, tests)}
    columns = {each: {**kept, **outcomes} if each == features else recorded(each) for each in FEATURES}
    names = sorted({name for column in columns.values() for name in column})
    rows = [[f"{column.get(name, ABSENT):<8}" for column in columns.values()] + [name] for name in names]
    KEPT_IN.write_text(HEAD + "".join(" ".join(row) + "\n" for row in rows))


def read():
    text = KEPT_IN.read_text() if KEPT_IN.exists() else ""
    return [line for line in text.splitlines() if not line.startswith("#")]


def chosen(name, tests):
    """Whether tempest runs a test for this expression; a class's own steps go with its tests."""
    return re.search(tests, CLASS_STEP.sub("", name)) is not None


def differences(expected, outcomes):
    """A line for each test that did not end as expected."""
    names = sorted(expected.keys() | outcomes.keys())
    ends = [(name, expected.get(name, ABSENT), outcomes.get(name, ABSENT)) for name in names]
    return [
        f"{name}: {outcome}, and {wanted} on Python Keystone" for name, wanted, outcome in ends if outcome != wanted
    ]
