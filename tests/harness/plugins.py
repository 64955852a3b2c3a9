"""The components that `cargo xtask plugins` builds."""

from pathlib import Path

import pytest

from harness.servers import Archstone


def plugin(name):
    """The component of a plugin."""
    built = Path(Archstone.binary).parents[1] / "plugins" / f"{name}.wasm"
    if not built.exists():
        pytest.fail(f"{built} is not built: run `cargo xtask plugins`")
    return built
