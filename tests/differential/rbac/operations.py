"""What is asked: the rows of the table, from the operations that Python Keystone's rules name and cases.yaml."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from differential.script import REFERENCE, requests_of

CASES = Path(__file__).with_name("cases.yaml")
SENT = ("body", "signed", "headers")
KEYS = {"rows", "paths", "except", "with", *SENT, "query", "needs", "there", "again", "kept", "shown"}
#: Names in paths that make an operation one about something in a domain.
OF_DOMAINS = {"user_id", "group_id", "project_id", "domain_id"}
PARAMETER = re.compile(r"\{(\w+)\}")


class CasesError(Exception):
    """cases.yaml does not say what is needed, or something that means nothing."""


@dataclass(frozen=True)
class Row:
    """An operation on something, which every persona tries."""

    rule: str
    operation: str
    name: str
    #: The step of a script that sends it, without `as`; {me.id} still stands in it.
    step: dict = field(hash=False)
    #: Whether this is the HEAD of a GET that the same rule names.
    echo: bool = False
    needs: tuple = ()
    there: bool = False
    again: str | None = None
    kept: bool = False
    shown: bool = True

    @property
    def method(self):
        return self.operation.split(" ")[0]

    @property
    def path(self):
        return self.step[self.method.lower()]

    def request(self, persona):
        """The request of one persona."""
        [request] = requests_of(self.of(persona.me, {**self.step, "as": persona.name}))
        return request

    def of(self, me, value):
        """`value` with `me` in its references replaced by the name of a user."""
        if isinstance(value, dict):
            return {key: self.of(me, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(me, item) for item in value]
        return value.replace("{me.", f"{{{me}.") if isinstance(value, str) else value


@cache
def operations():
    """Name of each rule of Python Keystone that has operations, without `identity:`, to these: `GET /v3/...`."""
    from keystone.common import policies

    found = {}
    for rule in policies.list_rules():
        for operation in getattr(rule, "operations", None) or []:
            methods = operation["method"] if isinstance(operation["method"], list) else [operation["method"]]
            named = found.setdefault(rule.name.removeprefix("identity:"), [])
            named += [f"{method} {operation['path'].strip()}" for method in methods]
    return found


@cache
def pieces():
    """Name of each piece to its rows, in order."""
    cases = yaml.safe_load(CASES.read_text())
    named = [rule for rules in cases["pieces"].values() for rule in rules]
    if sorted(named) != sorted(operations()):
        raise CasesError(f"not once in cases.yaml, or not a rule: {set(named) ^ set(operations())}")
    return {
        piece: [row for rule, entries in rules.items() for row in rows_of(rule, entries, cases["targets"])]
        for piece, rules in cases["pieces"].items()
    }


def rows_of(rule, entries, targets):
    """The rows of one rule; every operation of it must have some."""
    entries = entries if isinstance(entries, list) else [entries or {}]
    for operation in operations()[rule]:
        path = operation.split(" ")[1]
        takers = [entry for entry in entries if takes(entry, path)]
        if not takers:
            raise CasesError(f"{rule} has no row for {operation}")
        echo = operation.startswith("HEAD ") and f"GET {path}" in operations()[rule]
        for entry in takers:
            if unknown := set(entry) - KEYS:
                raise CasesError(f"{rule} does not know {', '.join(sorted(unknown))}")
            yield from rows_of_operation(rule, operation, echo, entry, targets)


def takes(entry, path):
    begins, ends = listed(entry.get("paths", "/")), listed(entry.get("except", []))
    return path.startswith(tuple(begins)) and not path.endswith(tuple(ends))


def listed(value):
    return value if isinstance(value, list) else [value]


def rows_of_operation(rule, operation, echo, entry, targets):
    method, path = operation.split(" ")
    of_a_domain = OF_DOMAINS & set(PARAMETER.findall(path))
    rows = entry.get("rows", ["home", "away"] if of_a_domain else ["any"])
    rows = rows if isinstance(rows, dict) else dict.fromkeys(rows)
    for name, special in rows.items():
        told = {**entry, **(special or {})}
        told["with"] = {
            **targets["any"], **targets["home"], **targets.get(name, {}),
            **entry.get("with", {}), **(special or {}).get("with", {}),
        }  # fmt: skip
        filled = fill(path, told["with"])
        if left := [name for name in PARAMETER.findall(filled)]:
            raise CasesError(f"{rule} does not say what {left} stands for")
        if told.get("query"):
            filled += ("&" if "?" in filled else "?") + told["query"]
        step = {method.lower(): filled, **{key: fill(told[key], told["with"]) for key in SENT if key in told}}
        yield Row(
            rule,
            operation,
            name,
            step,
            echo,
            needs=tuple(told.get("needs", ())),
            there=told.get("there", False) and method != "PUT",
            again=told.get("again"),
            kept=told.get("kept", False),
            shown=told.get("shown", True),
        )


def fill(value, parameters):
    """`value` with what stands for each name in braces that is known; `{alice.id}` stays."""
    if isinstance(value, dict):
        return {key: fill(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, parameters) for item in value]
    if isinstance(value, str):
        return PARAMETER.sub(lambda found: parameters.get(found[1], found[0]), value)
    return value


def references(value):
    """The names of things in `value`: alice of {alice.id}."""
    if isinstance(value, dict):
        return {name for item in value.items() for name in references(list(item))}
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    return {found.split(".")[0] for found in REFERENCE.findall(value)} if isinstance(value, str) else set()
