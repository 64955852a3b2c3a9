"""Who asks: the columns of the table."""

from dataclasses import dataclass

PASSWORD = "x"


@dataclass(frozen=True)
class Persona:
    """Somebody with a token: a user of a domain, scoped by a role to something, or not scoped."""

    #: The name of their token, and of their user unless `user` says otherwise.
    name: str
    #: The heading of their column, of two lines.
    heading: tuple[str, str]
    scope: dict | None = None
    role: str | None = None
    domain: str = "home"
    user: str | None = None

    @property
    def me(self):
        """The name of the user whom they call themselves."""
        return self.user or self.name

    def steps(self):
        """The steps of a script that make their user and log them in."""
        if self.user is None:
            body = {"user": {"name": self.name, "domain_id": f"{{{self.domain}.id}}", "password": PASSWORD}}
            yield {"post": "/v3/users", "body": body, "save": self.name}
            if self.role is not None:
                [(kind, target)] = self.scope.items()
                on = "system" if kind == "system" else f"{kind}s/{target}"
                yield {"put": f"/v3/{on}/users/{{{self.name}.id}}/roles/{{role_{self.role}.list.0.id}}"}
        scope = self.scope or {"unscoped": True}
        yield {"login": {"user": f"{{{self.me}.id}}", "password": PASSWORD, **scope}, "token": self.name}


def scoped(kind, scope):
    return [
        Persona(f"{kind}_{role}", (kind, role), scope, role) for role in ("admin", "manager", "member", "reader")
    ]


PERSONAS = [
    *scoped("system", {"system": True}),
    *scoped("domain", {"domain": "{home.id}"}),
    *scoped("project", {"project": "{red.id}"}),
    Persona("away_admin", ("away", "admin"), {"domain": "{away.id}"}, "admin", "away"),
    Persona("stranger", ("away", "owner"), {"project": "{blue.id}"}, "member", "away"),
    Persona("native", ("home", "owner"), {"project": "{red.id}"}, "member"),
    Persona("native_unscoped", ("owner", "bare"), user="native"),
    Persona("loner", ("no", "role"),),
    Persona("service", ("plant", "service"), {"project": "{plant.id}"}, "service"),
    Persona("nobody", ("no", "token"), user="native"),
]  # fmt: skip

#: Who sends a HEAD that is the GET of the line above without its body.
OF_EVERY_KIND = {"system_admin", "project_member", "nobody"}
