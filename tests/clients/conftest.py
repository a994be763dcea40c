"""One provider and one gateway for all clients; whatever the clients were answered is checked after each test."""

from collections.abc import Iterator

import pytest

from tests.clients import published, world
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
