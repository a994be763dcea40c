"""One provider and one gateway for all clients; whatever the clients were answered is checked after each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.clients import published, world
from tests.clients.browser import Visit, chromium, visiting
from tests.clients.held import Held, held_provider
from tests.clients.tap import tapped
from tests.clients.world import Provider, Server


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with world.provider() as running:
        yield running


@pytest.fixture(scope="session")
def held() -> Iterator[Held]:
    with held_provider() as running:
        yield running


@pytest.fixture(scope="session")
def running_server(provider: Provider, held: Held) -> Iterator[Server]:
    env = world.providers(provider, held.port)
    with world.serving("--store", "memory", env=env) as (program, port), tapped(("127.0.0.1", port)) as tap:
        yield Server(program, port, tap)
    assert program.err == []


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """The gateway in memory. Every exchange of the test must be what OpenAI published."""
    running_server.tap.forget()
    yield running_server
    for exchange in running_server.tap.exchanges():
        published.check(exchange)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser that opens the dashboard."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    """The address of a gateway in memory, for pages that change what it has."""
    with world.serving("--store", "memory") as (program, port):
        yield f"http://127.0.0.1:{port}"
    assert program.err == []


@pytest.fixture
def visit(browser: Browser, root: str) -> Iterator[Visit]:
    with visiting(browser, root) as opened:
        yield opened
