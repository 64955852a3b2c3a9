"""What Python Keystone 30's mapping engine makes of assertions, and which mappings it accepts. The
mapping engine's own tests read the result:

    python tests/interop/mapping_table.py > host/model/tests/mapping_cases.json

Runs in an environment with keystone==30.0.0. The same program always prints the same table.
"""

import copy
import json
import random
import sys

import keystone.conf
from keystone import exception
from keystone.federation import utils

RANDOM_CASES = 150

ASSERTIONS = {
    "ada": {"UserName": "ada", "Email": "ada@example.org", "Groups": "staff;admins;chess club", "Org": "Engines"},
    "bob": {"UserName": "bob", "Email": "bob@rival.example", "Groups": "guests", "Org": "Looms", "Empty": ""},
    "quoted": {"UserName": "o'hara", "Email": 'say "hi"', "Groups": 'a\'b;c"d;back\\slash;plain'},
    "spelt out": {
        "UserName": "eve",
        "Groups": 'JSON:{"name":"staff","domain":{"name":"Default"}};JSON:{"name":"looms","domain":{"id":"rival"}}',
        "Projects": '[{"name": "engines", "roles": [{"name": "member"}, {"name": "reader"}]}]',
        "Wrong": '[{"name": "engines"}]',
    },
    "nobody": {},
}

USER = {"user": {"name": "{0}", "email": "{1}"}}
WHO = [{"type": "UserName"}, {"type": "Email"}]


def rule(local, remote):
    return {"local": local if isinstance(local, list) else [local], "remote": remote}


def rules():
    """Named lists of rules, each with the schema versions it is for."""
    every, newer, newest = ["1.0", "2.0", "3.0"], ["2.0", "3.0"], ["3.0"]
    acme = {"domain": {"name": "acme"}}
    yield "name and email", every, [rule(USER, WHO)]
    yield "both in one text", every, [rule({"user": {"name": "{0} <{1}>", "id": "{1}"}}, WHO)]
    yield "counted by itself", every, [rule({"user": {"name": "{} {}"}}, WHO)]
    yield "plain braces", every, [rule({"user": {"name": "{{{0}}}"}}, WHO)]
    yield "a match that is not there", every, [rule({"user": {"name": "{7}"}}, WHO)]
    yield "a match by name", every, [rule({"user": {"name": "{UserName}"}}, WHO)]
    yield "fixed user", every, [rule({"user": {"name": "guest", "domain": {"id": "acme"}}}, [{"type": "UserName"}])]
    yield "local user", every, [rule({"user": {"name": "{0}", "type": "local", **acme}}, WHO)]
    yield "ephemeral user", every, [rule({"user": {"id": "{0}", "type": "ephemeral"}}, WHO)]
    yield "local user by id", every, [rule({"user": {"id": "{0}", "type": "local"}}, WHO)]
    yield "domain beside the user", every, [rule({**USER, **acme}, WHO)]
    yield "domain in the last local", every, [rule([USER, acme], WHO)]
    yield "domain in an earlier local", every, [rule([acme, USER], WHO)]
    yield "domain from a match", every, [rule({"user": {"name": "{0}", "domain": {"name": "{1}"}}}, WHO)]
    yield "no user", every, [rule({"group": {"id": "g1"}}, WHO)]
    yield "nothing local", every, [rule([], WHO)]
    yield "empty local", every, [rule([{}], WHO)]
    yield "first user wins", every, [
        rule({"user": {"name": "first"}}, [{"type": "UserName"}]),
        rule({"user": {"name": "second"}}, [{"type": "UserName"}]),
    ]
    yield "an empty user does not win", every, [rule([{"user": {}}, {"user": {"name": "{0}"}}], WHO)]
    yield "groups by id and by name", every, [
        rule([USER, {"group": {"id": "g1"}}, {"group": {"id": "g1"}}, {"group": {"name": "staff", **acme}},
              {"group": {"name": "staff", "domain": {"id": "rival"}}}, {"group": {"name": "staff", **acme}}], WHO),
    ]  # fmt: skip
    for name, filtered in filters():
        remote = [*WHO[:1], {"type": "Groups", **filtered}]
        yield f"groups {name}", every, [rule([{"user": {"name": "{0}"}}, {"groups": "{1}", **acme}], remote)]
        yield f"group ids {name}", every, [rule([{"user": {"name": "{0}"}}, {"group_ids": "{1}"}], remote)]
    yield "one group by name of a match", every, [rule([USER, {"group": {"name": "{2}", **acme}}], [*WHO, {"type": "Org"}])]
    yield "groups inside a text", every, [rule([{"groups": "all {0}", **acme}], [{"type": "Groups"}])]
    yield "groups without a domain", every, [rule([USER, {"groups": "{0}"}], WHO)]
    yield "groups spelt out", every, [rule([{"user": {"name": "{0}"}}, {"groups": "{1}"}], [*WHO[:1], {"type": "Groups"}])]
    yield "a group called name", every, [rule([USER, {"groups": "names", **acme}], WHO)]
    yield "fixed list of groups", every, [rule([USER, {"groups": "['staff', \"club's\"]", **acme}], WHO)]
    yield "fixed list of ids", every, [rule([USER, {"group_ids": "['g1', 'g2',]"}], WHO)]
    yield "fixed empty list", every, [rule([USER, {"group_ids": "[]", "groups": " [ ] ", **acme}], WHO)]
    yield "what is no list", every, [rule([USER, {"group_ids": "['g1', ", "groups": "[staff]", **acme}], WHO)]
    yield "several values as a name", every, [rule({"user": {"name": "{0}"}}, [{"type": "Groups"}])]
    for condition in ("any_one_of", "not_any_of"):
        for values, regex in [(["Engines"], False), (["ngin"], False), (["ngin"], True), (["^L", "x"], True),
                              ([], False), ([], True), ([5, None], False), (["(?i)^ENG"], True), (["^(?!Eng)"], True),
                              (["("], True), ([5], True)]:  # fmt: skip
            requirement = {"type": "Org", condition: values, "regex": regex}
            yield f"{condition} {values} {regex}", every, [rule(USER, [*WHO, requirement])]
    yield "a condition takes no number", every, [rule({"user": {"name": "{0}"}}, [{"type": "Org", "any_one_of": ["Engines", "Looms"]}, *WHO])]
    yield "an attribute that is empty", every, [rule({"user": {"name": "{0}", "email": "[{1}]"}}, [*WHO[:1], {"type": "Empty"}])]
    member = {"name": "engines", "roles": [{"name": "member"}]}
    yield "projects", every, [rule([USER, {"projects": [member, {"name": "of {0}", "roles": []}]}], WHO)]
    yield "last projects win", every, [rule([USER, {"projects": [member]}, {"projects": []}], WHO)]
    yield "domain beside projects", every, [rule([{**USER, **acme}, {"projects": [copy.deepcopy(member)], **acme}], WHO)]
    yield "projects of two domains", newer, [
        rule({**USER, "domain": {"id": "d1"}, "projects": [copy.deepcopy(member), {**member, **acme}]}, WHO),
    ]
    spelt = [*WHO[:1], {"type": "Projects"}]
    user = {"user": {"name": "{0}", **acme}}
    yield "projects in JSON", newest, [rule([user, {"projects_json": "{1}", **acme}], spelt)]
    yield "projects in JSON and fixed", newest, [rule([user, {"projects_json": "1", "projects": [copy.deepcopy(member)], **acme}], spelt)]
    yield "wrong projects in JSON", newest, [rule([user, {"projects_json": "{1}", **acme}], [*WHO[:1], {"type": "Wrong"}])]


def filters():
    yield "all", {}
    yield "whitelisted", {"whitelist": ["staff", "guests", "plain"]}
    yield "blacklisted", {"blacklist": ["staff", "guests", "plain"]}
    yield "whitelisted by pattern", {"whitelist": ["^s", "lash$"], "regex": True}
    yield "blacklisted by pattern", {"blacklist": ["^s", "lash$"], "regex": True}
    yield "none whitelisted", {"whitelist": []}
    yield "none blacklisted", {"blacklist": []}


def random_rules(chance):
    """Several rules over the same few attributes, of every kind at once."""
    made = []
    for _ in range(chance.randint(1, 4)):
        remote = [{"type": "UserName"}]
        for _ in range(chance.randint(0, 2)):
            condition = chance.choice(["any_one_of", "not_any_of", "whitelist", "blacklist"])
            values = chance.sample(["staff", "admins", "guests", "Engines", "chess", "s$", "^E"], chance.randint(1, 3))
            requirement = {"type": chance.choice(["Groups", "Org"]), condition: values}
            if chance.random() < 0.5:
                requirement["regex"] = chance.random() < 0.7
            remote.append(requirement)
        matches = sum("any_one_of" not in entry and "not_any_of" not in entry for entry in remote)
        last = f"{{{matches - 1}}}"
        local = chance.sample(
            [
                {"user": {"name": "{0}"}},
                {"user": {"id": "u-{0}", "type": chance.choice(["local", "ephemeral"])}},
                {"group": {"id": f"g{chance.randint(1, 3)}"}},
                {"group": {"name": "of {0}", "domain": {"id": "acme"}}},
                {"groups": last, "domain": {"name": "acme"}},
                {"group_ids": last},
                {"projects": [{"name": "{0}'s", "roles": [{"name": "member"}]}], "domain": {"id": "acme"}},
                {"domain": {"name": "rival"}},
            ],
            chance.randint(1, 4),
        )
        made.append(rule(local, remote))
    return made


def outcome(version, rules, assertion):
    """What comes out, in an order of its own where Keystone's is that of a set."""
    mapping = {"id": "m", "schema_version": version, "rules": copy.deepcopy(rules)}
    try:
        mapped = utils.create_attribute_mapping_rules_processor(mapping).process(assertion)
    except exception.ValidationError:
        return "not mapped"
    except Exception:
        return "faulty"
    if not all(isinstance(name, dict) for name in mapped["group_names"]):
        return "not mapped"  # The login that would use them crashes.
    names = {json.dumps(name, sort_keys=True) for name in mapped["group_names"]}
    user = {key: value for key, value in mapped["user"].items() if value is not None}
    projects = [{key: value for key, value in project.items() if value is not None} for project in mapped["projects"]]
    return {
        "user": user,
        "group_ids": sorted(mapped["group_ids"]),
        "group_names": [json.loads(name) for name in sorted(names)],
        "projects": projects,
    }


def case(name, version, rules):
    assertions = {who: outcome(version, rules, assertion) for who, assertion in ASSERTIONS.items()}
    return {"name": name, "version": version, "rules": rules, "outcomes": assertions}


def structures():
    """Mappings that may or may not be stored."""
    good = rule(USER, WHO)
    yield {}
    yield {"rules": []}
    yield {"rules": {}}
    yield {"rules": [good]}
    yield {"rules": [good], "other": 1}
    yield {"rules": [{**good, "other": 1}]}
    for missing in ("local", "remote"):
        yield {"rules": [{key: value for key, value in good.items() if key != missing}]}
    for local in (
        {}, [], [{}], [5], [{"other": {}}], [{"user": {}}], [{"user": "x"}], [{"user": {"name": 5}}],
        [{"user": {"name": None}}], [{"user": {"other": "x"}}], [{"user": {"type": "local"}}],
        [{"user": {"type": "Local"}}], [{"user": {"domain": {}}}], [{"user": {"domain": {"id": "x", "name": "y"}}}],
        [{"user": {"domain": {"other": "y"}}}], [{"user": {"domain": "y"}}], [{"group": {}}], [{"group": {"id": "x"}}],
        [{"group": {"id": "x", "name": "y"}}], [{"group": {"name": "y"}}], [{"group": {"name": "y", "domain": {}}}],
        [{"group": {"name": "y", "domain": {"id": "x"}, "id": "x"}}], [{"groups": ["x"]}], [{"groups": "x"}],
        [{"group_ids": ["x"]}], [{"group_ids": "x"}], [{"domain": {"id": "x"}}], [{"domain": "x"}], [{"projects": {}}],
        [{"projects": []}], [{"projects": [{}]}], [{"projects": [{"name": "x"}]}],
        [{"projects": [{"name": "x", "roles": []}]}], [{"projects": [{"name": "x", "roles": ["member"]}]}],
        [{"projects": [{"name": "x", "roles": [{"name": "member"}]}]}],
        [{"projects": [{"name": "x", "roles": [{"name": "member", "id": "x"}]}]}],
        [{"projects": [{"name": "x", "roles": [], "domain": {"id": "x"}}]}],
        [{"projects": [{"name": "x", "roles": [], "domain": {"other": "x"}}]}],
        [{"projects_json": "{0}"}], [{"projects_json": []}], [{"projects": "{0}"}],
    ):  # fmt: skip
        yield {"rules": [{"local": local, "remote": WHO}]}
    for remote in (
        {}, [], [{}], [{"type": "x"}], [{"type": 5}], [{"type": "x", "other": 1}], [{"type": "x", "regex": True}],
        [{"type": "x", "any_one_of": []}], [{"type": "x", "any_one_of": ["y"], "regex": True}],
        [{"type": "x", "any_one_of": ["y"], "regex": "yes"}], [{"type": "x", "any_one_of": "y"}],
        [{"type": "x", "any_one_of": [5, {}]}], [{"any_one_of": ["y"]}], [{"type": "x", "not_any_of": ["y"]}],
        [{"type": "x", "any_one_of": ["y"], "not_any_of": ["z"]}], [{"type": "x", "whitelist": ["y"]}],
        [{"type": "x", "blacklist": ["y"], "regex": False}], [{"type": "x", "blacklist": ["y"], "whitelist": ["z"]}],
    ):  # fmt: skip
        yield {"rules": [{"local": [USER], "remote": remote}]}


def accepted(version, mapping):
    try:
        utils.validate_mapping_structure({"schema_version": version, **mapping})
    except exception.ValidationError:
        return False
    return True


def table():
    keystone.conf.configure()
    chance = random.Random(30)
    cases = [case(name, version, made) for name, versions, made in rules() for version in versions]
    for number in range(RANDOM_CASES):
        version = chance.choice(["1.0", "2.0", "3.0"])
        cases.append(case(f"random {number}", version, random_rules(chance)))
    shapes = [
        {"mapping": mapping, "accepted": {version: accepted(version, mapping) for version in ("1.0", "2.0", "3.0")}}
        for mapping in structures()
    ]
    return {"assertions": ASSERTIONS, "cases": cases, "structures": shapes}


def render(made):
    """One line per assertion, case and structure, so that a change is easy to see."""
    line = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    parts = []
    for key, value in made.items():
        if isinstance(value, dict):
            rows = [f"{line(name)}: {line(row)}" for name, row in value.items()]
            parts.append(f"{line(key)}: {{\n" + ",\n".join(rows) + "\n}")
        else:
            parts.append(f"{line(key)}: [\n" + ",\n".join(map(line, value)) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.stdout.write(render(table()))
