"""What the whole suite shares: the event loop of its tests, and an AWS of its own, in this process."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.jumping import JumpingLoop
from tests.providers.recorded import MISSING
from tests.world import Client, world

# A machine that is busy with other things is no fault of a test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests had no recordings to read, and what a green run leaves uncovered without them."""
    count = sum(MISSING in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ()))
    if count:
        terminalreporter.write_line(
            f"{MISSING}: {count} tests were skipped, which need providers without a sample, or pin counts and costs "
            "over all recordings. The others read the sample in tests/providers/sample."
        )


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """The loop of every `async` test and fixture; a test marked `jumping_clock` waits for nothing in it."""
    jumps = request.node.get_closest_marker("jumping_clock") is not None
    return "asyncio", {"loop_factory": JumpingLoop if jumps else None}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a gateway in memory whose provider answers every call with a `completion()`."""
    async with world() as opened:
        yield opened


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """The URL of an embedded AWS on a free port; the environment holds credentials that open nothing."""
    from tidegate.local.embedded import embedded_aws

    before = {name: os.environ.get(name) for name in FAKE_AWS}
    os.environ.update(FAKE_AWS)
    with embedded_aws(0) as endpoint:
        yield endpoint
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session")
def sqlite_endpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for tables in SQLite, in the form of an endpoint."""
    return f"sqlite:{tmp_path_factory.mktemp('sqlite')}"
