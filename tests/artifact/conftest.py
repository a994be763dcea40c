from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.artifact.world import HOST_ARCHITECTURE, Site, missing, sam_build, site


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The functions' folders, built for this machine."""
    if reason := missing():
        pytest.skip(reason)
    return sam_build(HOST_ARCHITECTURE, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def artifact(artifacts: Path) -> Path:
    """The data plane's."""
    return artifacts / "ChatFunction"


@pytest.fixture
async def built(artifact: Path, aws_endpoint: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(artifact, aws_endpoint, tmp_path) as found:
        yield found
