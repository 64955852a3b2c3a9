"""The first plugin, in Python: whoever knows the PIN may say who they are. As `plugins/examples/hello`
in Rust, to the letter.

Not for production: one PIN for everybody proves little.
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import secrets, signatures
from wit_world.imports.authentication import Outcome_Asserted, Outcome_Denied
from wit_world.imports.outcomes import Assertion, Denial, Reason
from wit_world.imports.types import ConfigError, Description, Proof

SCHEMA = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string"},
        "pin": {"type": "string", "minLength": 4},
    },
    "required": ["pin"],
    "additionalProperties": False,
}


class WitWorld(wit_world.WitWorld):
    """Each export of the world is a method; each call has an instance of its own."""

    def describe(self):
        return Description(
            name="hello",
            version="0.1.0",
            summary="An example: everybody who knows the PIN",
            proves=Proof.SUBJECT,
            config_schema=json.dumps(SCHEMA),
            secret_fields=["pin"],
            server_fields=[],
            capabilities=[],
        )

    def check(self, config):
        if not greeting(json.loads(config)).strip():
            raise Err(ConfigError("/greeting", "a greeting has to say something"))

    def authenticate(self, step):
        config = json.loads(step.config)
        match json.loads(step.payload):
            case {"name": str(name), "pin": str(pin)}:
                pass
            case _:
                return denied(Reason.MALFORMED, "the payload is not what this method expects")
        right = secrets.get("pin")
        if right is None:
            return denied(Reason.UNAVAILABLE, "no PIN is configured")
        if not signatures.equal(pin.encode(), right.encode()):
            return denied(Reason.REJECTED, "the PIN is wrong")
        claims = {"greeting": f"{greeting(config)}, {name}"}
        return Outcome_Asserted(Assertion(name, json.dumps(claims)))


def greeting(config):
    return config.get("greeting", "hello")


def denied(reason, detail):
    return Outcome_Denied(Denial(reason, detail))
