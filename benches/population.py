"""Fills Keystone's tables by SQL: to make ten thousand users by the API takes longer than to measure them."""

import sqlite3
import urllib.parse
import uuid

import pymysql

MADE_AT = "2026-01-01 00:00:00.000000"
MADE_AT_US = 1_767_225_600_000_000
#: The domain of the row in `project` that stands for a domain.
ROOT = "<<keystone.domain.root>>"
GLOBAL = "<<null>>"
#: Rows of one statement.
BATCH = 5_000


def identifier(kind, number):
    """An id as Keystone makes them, in no order, and the same each time."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}").hex


class Population:
    """A database that servers have bootstrapped. Each method adds rows and gives their ids."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "sqlite":
            self.connection, self.placeholder = sqlite3.connect(parts.path.removeprefix("/"), timeout=30), "?"
        else:
            self.placeholder = "%s"
            self.connection = pymysql.connect(
                host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
                database=parts.path.removeprefix("/"),
            )  # fmt: skip

    def query(self, statement, *values):
        cursor = self.connection.cursor()
        cursor.execute(statement.replace("?", self.placeholder), values)
        return cursor.fetchall()

    def insert(self, table, rows, **constants):
        """Adds dictionaries, each with the constants."""
        rows = [{**constants, **row} for row in rows]
        if not rows:
            return
        columns = ", ".join(f"`{name}`" for name in rows[0])
        values = ", ".join([self.placeholder] * len(rows[0]))
        cursor = self.connection.cursor()
        for first in range(0, len(rows), BATCH):
            batch = [tuple(row.values()) for row in rows[first : first + BATCH]]
            cursor.executemany(f"INSERT INTO `{table}` ({columns}) VALUES ({values})", batch)
        self.connection.commit()

    def refresh(self):
        """Has the database look at how the rows lie now, as it does by itself in time."""
        tables = ["user", "local_user", "password", "project", "group", "user_group_membership", "role", "assignment"]
        for table in tables:
            self.query(f"ANALYZE TABLE `{table}`" if self.placeholder == "%s" else f"ANALYZE `{table}`")
        self.connection.commit()

    def domain(self, name):
        made = identifier("domain", name)
        row = {"id": made, "name": name, "domain_id": ROOT, "is_domain": 1, "enabled": 1, "extra": "{}"}
        self.insert("project", [{**row, "description": ""}])
        return made

    def projects(self, domain, numbers, parent=None):
        made = {number: identifier("project", number) for number in numbers}
        rows = [{"id": made[number], "name": f"project {number}"} for number in made]
        self.insert(
            "project", rows,
            domain_id=domain, parent_id=parent or domain, is_domain=0, enabled=1, description="", extra="{}",
        )  # fmt: skip
        return list(made.values())

    def users(self, domain, numbers, password_hash):
        """Users of a domain, all with one password."""
        made = {number: identifier("user", number) for number in numbers}
        self.insert(
            "user", [{"id": made[number], "extra": f'{{"email": "{number}@example.org"}}'} for number in made],
            domain_id=domain, enabled=1, created_at=MADE_AT,
        )  # fmt: skip
        first = 1 + max(id or 0 for table in ("local_user", "password") for id, in self.query(f"SELECT MAX(id) FROM {table}"))
        self.insert(
            "local_user", [
                {"id": first + place, "user_id": made[number], "name": f"user {number}"}
                for place, number in enumerate(made)
            ],
            domain_id=domain, failed_auth_count=0,
        )  # fmt: skip
        self.insert(
            "password", [{"id": first + place, "local_user_id": first + place} for place in range(len(made))],
            password_hash=password_hash, self_service=0, created_at=MADE_AT, created_at_int=MADE_AT_US,
        )  # fmt: skip
        return list(made.values())

    def groups(self, domain, numbers):
        made = {number: identifier("group", number) for number in numbers}
        rows = [{"id": made[number], "name": f"group {number}"} for number in made]
        self.insert("group", rows, domain_id=domain, description="", extra="{}")
        return list(made.values())

    def members(self, pairs):
        """Puts users in groups: (user, group)."""
        self.insert("user_group_membership", [{"user_id": user, "group_id": group} for user, group in pairs])

    def roles(self, numbers):
        made = {number: identifier("role", number) for number in numbers}
        rows = [{"id": made[number], "name": f"role {number}"} for number in made]
        self.insert("role", rows, domain_id=GLOBAL, extra="{}")
        return list(made.values())

    def role(self, name):
        return self.query("SELECT id FROM role WHERE name = ? AND domain_id = ?", name, GLOBAL)[0][0]

    def assign(self, kind, triples, inherited=0):
        """Gives roles: (actor, target, role); `kind` is a word such as UserProject."""
        rows = [{"actor_id": actor, "target_id": target, "role_id": role} for actor, target, role in triples]
        self.insert("assignment", rows, type=kind, inherited=inherited)

    def catalog(self, names, region="RegionOne"):
        """Services with three endpoints each, as many as a cloud has."""
        self.insert(
            "service", [{"id": identifier("service", name), "type": name, "extra": f'{{"name": "{name}"}}'} for name in names],
            enabled=1,
        )  # fmt: skip
        self.insert(
            "endpoint", [
                {
                    "id": identifier(f"{face} endpoint", name), "interface": face, "service_id": identifier("service", name),
                    "url": f"https://{name}.example/v1/$(project_id)s",
                }
                for name in names for face in ("public", "internal", "admin")
            ],
            enabled=1, region_id=region, extra="{}",
        )  # fmt: skip

    def connectors(self, original, numbers):
        """Copies of a connector, each with an identity provider, a protocol and a mapping of its own."""
        [(mapping,)] = self.query("SELECT mapping_id FROM archstone_connector WHERE id = ?", original)
        made = {number: identifier("connector", number) for number in numbers}
        for table, key, where in [
            ("identity_provider", original, ["id"]), ("mapping", mapping, ["id"]),
            ("federation_protocol", original, ["idp_id"]), ("archstone_connector", original, ["id", "idp_id"]),
        ]:  # fmt: skip
            cursor = self.connection.cursor()
            cursor.execute(f"SELECT * FROM {table} WHERE {where[0]} = {self.placeholder}", (key,))
            row = dict(zip((column[0] for column in cursor.description), cursor.fetchone()))
            own = [*where, *(name for name in ["mapping_id"] if name in row)]
            rows = [row | dict.fromkeys(own, made[number]) for number in numbers]
            for number, each in zip(numbers, rows):
                each |= {"name": f"connector {number}"} if "name" in each else {}
            self.insert(table, rows)
        return list(made.values())

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.connection.close()
