import pytest

from tests.infra.stack import SAM_PYTHON, Stack, deployed


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack with all defaults."""
    require_sam()
    return deployed()


@pytest.fixture
def deploy():
    """`deployed`, where there is a SAM CLI."""
    require_sam()
    return deployed


def require_sam() -> None:
    if not SAM_PYTHON.exists():
        pytest.skip("there is no SAM CLI: make setup")
