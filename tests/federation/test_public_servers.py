"""A server as `cargo xtask run` sets it up: managers connect what is on the internet, and reach nothing inside."""

import json

import pytest

from federation.conftest import Domain
from harness.plugins import plugin
from harness.servers import Archstone

pytestmark = pytest.mark.archstone_only

SETTINGS = {"grant": {"http": {"origins": []}}, "connectors": {"servers": "public"}}
CONFIGS = {
    "oidc": {"client_id": "cloud"},
    "jwt": {"audiences": ["cloud"], "bound_claims": {"sub": "*"}},
}


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    config = {"archstone": {"plugin_directory": "{dir}/plugins"}}
    server = Archstone(tmp_path_factory.mktemp("public") / "main", config).prepare()
    plugins = server.directory / "plugins"
    plugins.mkdir(exist_ok=True)
    for name in CONFIGS:
        (plugins / f"{name}.json").write_text(json.dumps(SETTINGS))
        server.archstone("plugin", "install", plugin(name))
    yield Domain(server.start(), "acme")
    server.stop()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "issuer, why",
    [
        ("http://id.example", "does not allow connectors to this server"),
        ("https://127.0.0.1:5000", "address is not allowed"),
        ("https://localhost", "address is not allowed"),
        ("https://169.254.169.254", "address is not allowed"),
        ("https://10.0.0.1", "address is not allowed"),
        ("https://[::ffff:127.0.0.1]", "address is not allowed"),
        ("https://2130706433", "address is not allowed"),
    ],
)
def test_what_is_inside_cannot_be_connected(domain, name, issuer, why):
    answer = domain.try_to_connect(name, {"issuer": issuer, **CONFIGS[name]}).fails(400)
    message = answer["error"]["message"]
    assert "config/issuer" in message and why in message, message
