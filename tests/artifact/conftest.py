from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.artifact.world import HOST_ARCHITECTURE, Site, missing, sam_build, site


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The function's folder, built for this machine."""
    if reason := missing():
        pytest.skip(reason)
    return sam_build(HOST_ARCHITECTURE, tmp_path_factory.mktemp("build"))


@pytest.fixture
async def built(artifact: Path, aws_endpoint: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(artifact, aws_endpoint, tmp_path) as found:
        yield found
