"""A browser, a page, and a server that takes security keys of that page."""

import json
from pathlib import Path

import pytest

from harness.api import Api
from harness.browser import Browser, Site
from harness.servers import Archstone

METHOD = "security-key"


@pytest.fixture(scope="session")
def site():
    with Site() as page:
        yield page


@pytest.fixture(scope="session")
def elsewhere():
    """A page that the server does not know."""
    with Site() as page:
        yield page


@pytest.fixture(scope="session")
def window():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(window, site):
    window.open(site.origin)
    return window


@pytest.fixture(scope="module")
def configured():
    """More members of the plugin's configuration; modules say theirs by a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory, site, configured):
    built = Path(Archstone.binary).parents[1] / "plugins" / f"{METHOD}.wasm"
    if not built.exists():
        pytest.fail(f"{built} is not built: run `cargo xtask plugins`")
    config = {
        "auth": {"methods": f"password,token,application_credential,{METHOD}"},
        "archstone": {"plugin_directory": "{dir}/plugins"},
    }
    server = Archstone(tmp_path_factory.mktemp("server") / "main", config).prepare()
    plugins = server.directory / "plugins"
    plugins.mkdir(exist_ok=True)
    settings = {"config": {"rp_id": "localhost", "rp_name": "Archstone", "origins": [site.origin], **configured}}
    (plugins / f"{METHOD}.json").write_text(json.dumps(settings))
    server.archstone("plugin", "install", built)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def admin(server):
    return Api(server).as_admin()
