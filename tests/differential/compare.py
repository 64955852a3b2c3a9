"""Decides whether two answers say the same, where each side has made its own ids, secrets and times.

Two different strings are taken for the same thing when both look made by a machine (a UUID, a token, a time) and the
pairing holds for the whole script: an id that stood for alice once must stand for alice always.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

HEADERS = ("Content-Type", "Vary", "WWW-Authenticate", "Location", "Allow", "X-Sp-Url", "X-Auth-Url")
PRESENT = ("X-Subject-Token", "X-Openstack-Request-Id", "Openstack-Auth-Receipt")
MACHINE_MADE = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{86}"
)
INSIDE = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
TIME_TOLERANCE = timedelta(minutes=5)


#: A difference that must be mended or explained in known_differences.yaml.
DIFFERENT = "unexplained"
#: Only the wording of an error message differs.
WORDING = "wording"
#: Python Keystone crashed, and the target did not.
CRASH = "crash of the original"


@dataclass
class Difference:
    """Where two answers differ, and of what kind this is."""

    where: str
    expected: object
    got: object
    kind: str = DIFFERENT

    def __str__(self):
        return f"{self.where}: keystone {shown(self.expected)}, archstone {shown(self.got)}"


def shown(value):
    text = json.dumps(value, sort_keys=True) if not isinstance(value, str) else repr(value)
    return text if len(text) < 400 else text[:400] + "..."


class Comparison:
    """What has been learned about two sides in one script: which string of one is which of the other."""

    def __init__(self, expected_base, got_base):
        self.bases = expected_base, got_base
        self.apart = timedelta()
        self.shape_only = False
        self.forward = {}
        self.backward = {}

    def reply(self, expected, got, shape_only=False):
        """Every difference between two replies; `shape_only` leaves out what strings and lists say."""
        self.shape_only = shape_only
        if expected.status >= 500:
            return [Difference("status", expected.status, got.status, CRASH if got.status < 500 else DIFFERENT)]
        self.apart = timedelta(seconds=got.at - expected.at)
        found = []
        if expected.status != got.status:
            found.append(Difference("status", expected.status, f"{got.status} {got.text[:200]}"))
        for name in HEADERS:
            left, right = expected.headers.get(name), got.headers.get(name)
            if name == "Allow":
                left, right = methods(left), methods(right)
            self.value(left, right, f"header {name}", found)
        for name in PRESENT:
            if (name in expected.headers) != (name in got.headers):
                found.append(Difference(f"header {name}", name in expected.headers, name in got.headers))
        if expected.status != got.status:
            return found
        if expected.json is None or got.json is None:
            self.value(expected.text, got.text, "body", found)
        else:
            self.value(expected.json, got.json, "", found)
        return found

    def value(self, expected, got, where, found):
        if isinstance(expected, dict) and isinstance(got, dict):
            expected = {self.forward.get(key, key): item for key, item in expected.items()}
            for key in sorted({*expected, *got}):
                at = f"{where}.{key}".lstrip(".")
                if key not in expected:
                    found.append(Difference(at, "nothing", got[key]))
                elif key not in got:
                    found.append(Difference(at, expected[key], "nothing"))
                else:
                    self.value(expected[key], got[key], at, found)
        elif isinstance(expected, list) and isinstance(got, list):
            self.items(expected, got, where, found)
        elif isinstance(expected, str) and isinstance(got, str):
            if not self.shape_only and not self.same(expected, got):
                found.append(Difference(where, expected, got, WORDING if where == "error.message" else DIFFERENT))
        elif type(expected) is not type(got) or expected != got:
            found.append(Difference(where, expected, got))

    def items(self, expected, got, where, found):
        """Lists, whose order Keystone leaves to the database: the likest are paired, then compared."""
        expected = sorted(expected, key=lambda item: self.likeness(item, self.forward, self.bases[0]))
        got = sorted(got, key=lambda item: self.likeness(item, self.backward, self.bases[1]))
        if len(expected) != len(got):
            left = [self.likeness(item, self.forward, self.bases[0]) for item in expected]
            right = [self.likeness(item, self.backward, self.bases[1]) for item in got]
            missing = [item for item in left if item not in right]
            extra = [item for item in right if item not in left]
            found.append(
                Difference(where, f"{len(left)} items, only here {missing}", f"{len(right)} items, only here {extra}")
            )
            return
        if self.shape_only:
            return
        for index, pair in enumerate(zip(expected, got)):
            self.value(*pair, f"{where}[{index}]", found)

    def likeness(self, item, known, base):
        """A text that equal items share on both sides: known ids by their common name, unknown ones as '?'."""

        def named(text):
            text = text.replace(base, "<url>")
            if TIME.fullmatch(text):
                return "<time>"
            if MACHINE_MADE.fullmatch(text):
                return self.symbol(text, known)
            return INSIDE.sub(lambda found: self.symbol(found[0], known), text)

        def walk(value):
            if isinstance(value, dict):
                return {named(key): walk(inner) for key, inner in value.items()}
            if isinstance(value, list):
                return sorted((walk(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
            return named(value) if isinstance(value, str) else value

        return json.dumps(walk(item), sort_keys=True)

    def symbol(self, text, known):
        if text not in known:
            return "?"
        return known[text] if known is self.backward else text

    def same(self, expected, got):
        if expected == got:
            return True
        if TIME.fullmatch(expected) and TIME.fullmatch(got):
            return self.same_time(expected, got)
        if MACHINE_MADE.fullmatch(expected) and MACHINE_MADE.fullmatch(got):
            return len(expected) == len(got) and self.pair(expected, got)
        expected, got = expected.replace(self.bases[0], "<url>"), got.replace(self.bases[1], "<url>")
        left, right = INSIDE.findall(expected), INSIDE.findall(got)
        if INSIDE.sub("?", expected) != INSIDE.sub("?", got) or len(left) != len(right):
            return False
        return all(a == b or self.pair(a, b) for a, b in zip(left, right))

    def same_time(self, expected, got):
        """Times written alike, and as long before or after their answers, give or take a few minutes."""
        left, right = TIME.fullmatch(expected), TIME.fullmatch(got)
        if len(left[1] or "") != len(right[1] or "") or left[2] != right[2]:
            return False
        return abs(moment(expected) + self.apart - moment(got)) < TIME_TOLERANCE

    def pair(self, expected, got):
        """Whether these two stand for the same thing, which is learned when neither has been seen."""
        if expected not in self.forward and got not in self.backward:
            self.forward[expected], self.backward[got] = got, expected
        return self.forward.get(expected) == got and self.backward.get(got) == expected


def methods(allow):
    return sorted(part.strip() for part in allow.split(",")) if allow else allow


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "").replace("+00:00", ""))
