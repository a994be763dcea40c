import pytest

from tests.control.world import Managed, managed


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world() -> Managed:
    return managed()
