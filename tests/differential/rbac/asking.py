"""Asks one server a piece of the table: every persona every operation, each in the world as it was made."""

import hashlib
import json

from differential.compare import MACHINE_MADE
from differential.rbac.operations import pieces, references
from differential.rbac.personas import OF_EVERY_KIND, PERSONAS
from differential.rbac.world import IDS, PROLOGUE, World, needed, recipes, thing_at_the_end
from differential.recording import sent
from differential.script import Side

#: The cell of a persona that was not asked.
NOT_ASKED = "."


def key(piece, config):
    """Changes with what is asked, by whom, and in which world."""
    rows, everybody = pieces()[piece], [persona.name for persona in PERSONAS]
    things = needed([*everybody, *(name for row in rows for name in things_of(row))])
    told = repr((rows, {name: recipes()[name] for name in things}, everybody, PROLOGUE.read_text(), config))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def answers(piece, server):
    """The cells of each row of a piece: what the server answers each persona."""
    rows = pieces()[piece]
    world = World(Side(server), [name for row in rows for name in things_of(row)])
    cells = []
    for row in rows:
        if row.there:
            world.admin("PUT", row.path)
        cells.append([cell(world, row, persona) for persona in PERSONAS])
    return cells


def things_of(row):
    return [*row.needs, *sorted(references(row.step)), *([row.again] if row.again else [])]


def cell(world, row, persona):
    if row.echo and persona.name not in OF_EVERY_KIND:
        return NOT_ASKED
    world.mend(things_of(row))
    reply = sent(world.side, row.request(persona))
    if reply.status < 300:
        undo(world, row, persona, reply)
    text = str(reply.status)
    if row.shown and row.method == "GET" and reply.status == 200:
        text += shown(world, reply)
    return text


def undo(world, row, persona, reply):
    """Puts the world back as it was before somebody succeeded."""
    path = row.of(persona.me, row.path)
    if row.again:
        world.lose(row.again)
    elif row.method == "DELETE" and row.there:
        world.admin("PUT", path)
    elif row.method == "DELETE" and thing_at_the_end(path):
        world.lose(thing_at_the_end(path))
    elif row.method == "PUT" and not row.kept:
        world.admin("DELETE", path)
    elif row.method == "POST" and not row.kept:
        world.admin("DELETE", f"{path}/{made(reply)}")


def made(reply):
    """The id of what an answer says was made."""
    [thing] = [value for key, value in reply.json.items() if key != "links"]
    thing = thing[0] if isinstance(thing, list) else thing
    return next(thing[key] for key in IDS if key in thing)


def shown(world, reply):
    """The names of what a list shows; nothing where the answer is no list."""
    lists = [value for value in (reply.json or {}).values() if isinstance(value, list)]
    if not lists:
        return ""
    names = world.names()
    return " [" + ", ".join(sorted(name_of(item, names) for item in lists[0])) + "]"


def name_of(item, names):
    if not isinstance(item, dict):
        return str(item)
    if "role" in item and "scope" in item:
        return assignment(item, names)
    if "prior_role" in item:
        return f"{item['prior_role']['name']} > {' '.join(sorted(role['name'] for role in item['implies']))}"
    known = next((names[item[key]] for key in IDS if item.get(key) in names), None)
    told = next((item[key] for key in ("name", "type", "interface", "id") if item.get(key)), json.dumps(item))
    return known or ("?" if MACHINE_MADE.fullmatch(told) else told)


def assignment(item, names):
    """native member on red."""
    [who] = [item[kind]["id"] for kind in ("user", "group") if kind in item]
    [(kind, scope)] = [entry for entry in item["scope"].items() if entry[0] != "OS-INHERIT:inherited_to"]
    on = kind if kind == "system" else names.get(scope["id"], "?")
    inherited = " below" if "OS-INHERIT:inherited_to" in item["scope"] else ""
    return f"{names.get(who, '?')} {names.get(item['role']['id'], '?')} on {on}{inherited}"
