"""The components that `cargo xtask plugins` builds."""

import struct
import time
from pathlib import Path

import pytest

from harness.servers import Archstone


def plugin(name):
    """The component of a plugin."""
    built = Path(Archstone.binary).parents[1] / "plugins" / f"{name}.wasm"
    if not built.exists():
        pytest.fail(f"{built} is not built: run `cargo xtask plugins`")
    return built


def rebuilt(name, number):
    """The same component with another digest: a custom section is appended, which means nothing."""
    label = b"version"
    content = bytes([len(label)]) + label + struct.pack("<I", number)
    return plugin(name).read_bytes() + bytes([0, len(content)]) + content


def wait_until(true, what, limit_s=20):
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {limit_s} s"
        time.sleep(0.1)
