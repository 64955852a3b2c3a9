"""What Python Keystone 30's policy says: every default rule and many made-up checks, for each
persona, over a fixed set of targets. The policy engine's own tests read the result:

    python tests/interop/policy_table.py > host/model/tests/policy_cases.json

Runs in an environment with keystone==30.0.0. The same program always prints the same table.
"""

import json
import random
import sys

import keystone.conf
from keystone.common import context, policies
from oslo_policy import _parser, policy

TARGETS = 64
CHECKS = 120

MINE, MY_DOMAIN, MY_PROJECT = "ada", "acme", "engines"
THEIRS = {"user": "bob", "domain": "rival", "project": "looms"}

#: Every key that a default rule reads, with what it may hold; None is a null.
KEYS = {
    "user_id": [MINE, THEIRS["user"]],
    "target.user.id": [MINE, THEIRS["user"]],
    "target.user.domain_id": [MY_DOMAIN, THEIRS["domain"]],
    "target.group.domain_id": [MY_DOMAIN, THEIRS["domain"]],
    "target.project.id": [MY_PROJECT, THEIRS["project"]],
    "target.project.domain_id": [MY_DOMAIN, THEIRS["domain"], None],
    "target.domain.id": [MY_DOMAIN, THEIRS["domain"]],
    "target.domain_id": [MY_DOMAIN, THEIRS["domain"], None],
    "target.role.name": ["manager", "member", "reader", "admin", "Manager", "auditor"],
    "target.role.domain_id": [MY_DOMAIN, THEIRS["domain"], None],
    "target.credential.user_id": [MINE, THEIRS["user"]],
    "target.trust.trustor_user_id": [MINE, THEIRS["user"]],
    "target.trust.trustee_user_id": [MINE, THEIRS["user"]],
    "target.token.user_id": [MINE, THEIRS["user"]],
    "target.limit.project_id": [MY_PROJECT, THEIRS["project"], None],
    "target.limit.domain.id": [MY_DOMAIN, THEIRS["domain"]],
    "target.limit.project.domain_id": [MY_DOMAIN, THEIRS["domain"]],
}

#: Left sides of made-up checks beside roles: credentials, absent credentials and literals.
LEFT_SIDES = [
    "user_id", "user_domain_id", "project_id", "project_domain_id", "domain_id", "system_scope",
    "token.user.id", "token.user.domain.id", "token.domain.id", "token.project.id",
    "token.project.domain.id", "token.nothing.id", "nothing", "None", "'acme'", '"ada"', "'manager'",
]  # fmt: skip


def personas():
    """Everybody's credentials, by name, as the engine takes them."""
    scopes = {
        "unscoped": {},
        "project": {"project_id": MY_PROJECT, "project_domain_id": MY_DOMAIN},
        "domain": {"domain_id": MY_DOMAIN},
        "system": {"system_scope": "all"},
    }
    for scope, fields in scopes.items():
        for role in [None] if scope == "unscoped" else ["admin", "manager", "member", "reader"]:
            roles = [role] if role else []
            yield f"{scope} {role}" if role else scope, {**fields, "roles": roles}
    yield "project service", {**scopes["project"], "roles": ["service"]}
    yield "project Admin", {**scopes["project"], "roles": ["Admin", "auditor"]}
    yield "domain reader and manager", {**scopes["domain"], "roles": ["reader", "manager"]}


def credentials(persona):
    """What Keystone shows to policy of such a token."""
    token = {"user": {"id": MINE, "domain": {"id": MY_DOMAIN}}}
    if persona.get("project_id"):
        domain = {"id": persona["project_domain_id"]}
        token["project"] = {"id": persona["project_id"], "domain": domain}
    if persona.get("domain_id"):
        token["domain"] = {"id": persona["domain_id"]}
    made = context.RequestContext(user_id=MINE, user_domain_id=MY_DOMAIN, **persona)
    made.token_reference = {"token": token}
    return dict(made.to_policy_values().items())


def targets(chance):
    """Targets that often belong to the persona, sometimes to others, and sometimes lack a key."""
    made = [{}]
    while len(made) < TARGETS:
        completeness = chance.choice([0.3, 0.7, 0.95])
        partiality = chance.choice([0.2, 0.5, 0.9])
        target = {}
        for key, values in KEYS.items():
            if chance.random() < completeness:
                mine = chance.random() < partiality
                target[key] = values[0] if mine else chance.choice(values)
        made.append(target)
    return made


def check_strings(chance):
    """Random expressions of every shape the language has, and its odd corners."""
    yield from ["", "@", "!", "not !", "NOT @", "role:ADMIN Or role:reader", "  role:admin  "]
    yield from ["rule:admin_required", "rule:no_such_rule", "not rule:no_such_rule"]
    yield from ["role:%(target.role.name)s", "role:%(nothing)s", "is_admin:1", "is_admin:True"]
    yield from ["user_id:%(user_id)s%(user_id)s", "user_id:a%(nothing)s", "roles:member"]
    yield from ["((role:admin))", "not (not role:admin)", "(not role:admin) and not role:reader"]
    yield from ["'acme':acme", "None:None", "True:True", "1:1", "system_scope:all", "system:all"]
    for _ in range(CHECKS):
        yield expression(chance, 3)


def expression(chance, depth):
    if depth == 0 or chance.random() < 0.15:
        return leaf(chance)
    operands = [expression(chance, depth - 1) for _ in range(chance.randint(2, 4))]
    words = [operands[0] if chance.random() < 0.6 else f"({operands[0]})"]
    for operand in operands[1:]:
        words.append(chance.choice(["and", "or"]))
        if chance.random() < 0.2:
            operand = f"not ({operand})"
        words.append(operand if chance.random() < 0.6 else f"({operand})")
    return " ".join(words)


def leaf(chance):
    kind = chance.random()
    if kind < 0.4:
        return "role:" + chance.choice(["admin", "manager", "member", "reader", "Reader"])
    if kind < 0.5:
        return "rule:" + chance.choice(["admin_required", "owner", "service_role"])
    right = chance.choice([*(f"%({key})s" for key in KEYS), MINE, MY_DOMAIN, "None"])
    return f"{chance.choice(LEFT_SIDES)}:{right}"


def enforcer(conf):
    made = policy.Enforcer(conf, policy_file="there-is-none.yaml", fallback_to_json_file=False)
    made.suppress_deprecation_warnings = True
    made.register_defaults(policies.list_rules())
    made.load_rules()
    made.use_conf = False  # Do not look for changed files at every check.
    return made


def options():
    keystone.conf.configure()
    conf = keystone.conf.CONF
    conf([], project="keystone", default_config_files=[], default_config_dirs=[])
    return conf


def answer(enforcer, rule, creds, all_targets):
    """Which targets a rule lets somebody at, the first target in the lowest bit."""
    try:
        enforcer.enforce(rule, {}, dict(creds), do_raise=True)
    except policy.InvalidScope:
        return "wrong scope"
    except policy.PolicyNotAuthorized:
        pass
    allowed = 0
    for number, target in enumerate(all_targets):
        if enforcer.enforce(rule, target, dict(creds)):
            allowed |= 1 << number
    return f"{allowed:x}"


def decisions(python, shown, all_targets):
    """The answers of every default rule, by its name."""
    rules, answers = {}, {}
    for name, rule in sorted(python.registered_rules.items()):
        alike = (str(python.rules[name]), tuple(rule.scope_types or ()))
        if alike not in answers:
            answers[alike] = [answer(python, name, creds, all_targets) for creds in shown]
        rules[name] = answers[alike]
    return rules


def table():
    chance = random.Random("archstone")
    everybody = list(personas())
    all_targets = targets(chance)
    shown = [credentials(persona) for _, persona in everybody]
    conf = options()
    python = enforcer(conf)
    rules = decisions(python, shown, all_targets)
    checks = []
    for text in check_strings(chance):
        check = _parser.parse_rule(text)
        allowed = [answer(python, check, creds, all_targets) for creds in shown]
        checks.append({"check": text, "allowed": allowed})
    conf.set_override("enforce_new_defaults", False, group="oslo_policy")
    old_rules = decisions(enforcer(conf), shown, all_targets)
    conf.clear_override("enforce_new_defaults", group="oslo_policy")
    return {
        "personas": [
            {"name": name, "user_id": MINE, "user_domain_id": MY_DOMAIN, **persona}
            for name, persona in everybody
        ],
        "targets": all_targets,
        "rules": rules,
        "old_rules": old_rules,
        "checks": checks,
    }


def render(made):
    """One line per persona, target, rule and check, so that a change is easy to see."""
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
