import pytest

from tidegate.memory.secrets import MappingSecrets

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_name_has_its_value_or_none() -> None:
    secrets = MappingSecrets({"OPENAI_API_KEY": " a-key\n", "EMPTY": "  "})
    found = [await secrets.get(name) for name in ("OPENAI_API_KEY", "EMPTY", "UNKNOWN")]
    assert found == ["a-key", None, None]


async def test_secrets_are_not_printed() -> None:
    assert "a-key" not in repr(MappingSecrets({"OPENAI_API_KEY": "a-key"}))
