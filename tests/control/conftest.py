import pytest

from tests.control.world import Managed, managed


@pytest.fixture
def world() -> Managed:
    return managed()
