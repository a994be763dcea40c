from collections.abc import Iterator

import pytest

from tests.clients.mocks import ministack


@pytest.fixture(scope="session")
def stack() -> Iterator[str]:
    """A DynamoDB by ministack."""
    with ministack("dynamodb") as url:
        yield url


@pytest.fixture(params=["memory", "aws_endpoint", "sqlite_endpoint", pytest.param("stack", marks=pytest.mark.slow)])
def endpoint(request: pytest.FixtureRequest) -> str | None:
    """Each store: in memory (None), the embedded AWS, SQLite, ministack."""
    return None if request.param == "memory" else request.getfixturevalue(request.param)
