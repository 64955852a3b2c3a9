#!/usr/bin/env python3
"""Opens the same project-scoped token with Archstone and with Python Keystone.

    python benches/side_by_side/validate_token.py [--json]

Run it with a Python that has keystone==30.0.0 installed; it runs the Rust side with
`cargo bench`. Python Keystone's side is what its token provider calls:
TokenFormatter().validate_token. The floor is HMAC-SHA256, AES-128-CBC and base64 over
the same bytes, without reading the payload.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import timeit

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "host/token/tests/it/golden-tokens.json"
TOKEN = "project uuid, uuid user"


def rust():
    subprocess.run(
        ["cargo", "bench", "--quiet", "-p", "archstone-benches", "--bench", "token",
         "--", "--noplot", f"^(open/{TOKEN}|floor/open)$"],
        cwd=REPOSITORY, check=True, stdout=sys.stderr,
    )
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))

    def median(path):
        estimates = json.loads((target / "criterion" / path / "new/estimates.json").read_text())
        return estimates["median"]["point_estimate"]

    return median(f"open/{TOKEN}"), median("floor/open")


def python(golden):
    import keystone.conf
    from keystone.token import token_formatters

    token = next(t["token"] for t in golden["tokens"] if t["name"] == TOKEN)
    with tempfile.TemporaryDirectory() as keys:
        for number, key in golden["keys"].items():
            (pathlib.Path(keys) / number).write_text(key)
        keystone.conf.configure()
        conf = keystone.conf.CONF
        conf([], project="keystone", default_config_files=[])
        conf.set_override("key_repository", keys, group="fernet_tokens")
        formatter = token_formatters.TokenFormatter()
        validate = timeit.Timer(lambda: formatter.validate_token(token))
        loops, _ = validate.autorange()
        return min(validate.repeat(5, loops)) / loops * 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print nanoseconds as JSON")
    arguments = parser.parse_args()

    ours, floor = rust()
    theirs = python(json.loads(GOLDEN.read_text()))
    if arguments.json:
        print(json.dumps({"archstone_ns": ours, "floor_ns": floor, "python_ns": theirs}))
        return
    print(f"{'':<28}{'per token':>12}{'to Archstone':>14}")
    for name, nanoseconds in [
        ("Archstone, open", ours),
        ("floor", floor),
        ("Python Keystone 30", theirs),
    ]:
        print(f"{name:<28}{nanoseconds / 1000:>9.2f} us{nanoseconds / ours:>13.2f}x")


if __name__ == "__main__":
    main()
