"""What `Vault` promises, in every room."""

import uuid
from collections.abc import AsyncIterator

import pytest

from tests.store_worlds import REGION
from tidegate.aws.secrets import create_secrets_manager_client
from tidegate.aws.vault import SecretsManagerVault
from tidegate.memory.vault import MemoryVault
from tidegate.ports import Vault
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


@pytest.fixture(params=["memory", "aws"])
async def vault(request: pytest.FixtureRequest) -> AsyncIterator[Vault]:
    if request.param == "memory":
        yield MemoryVault()
        return
    transport = ReqwestTransport()
    client = create_secrets_manager_client(transport, aws_key, REGION, request.getfixturevalue("aws_endpoint"))
    yield SecretsManagerVault(client, f"tidegate-{uuid.uuid4()}/workspaces")
    await transport.close()


async def test_a_workspace_has_what_was_written_last(vault: Vault) -> None:
    assert await vault.read("ws_one") == {}
    await vault.write("ws_one", {"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b"})
    await vault.write("ws_one", {"OPENAI_API_KEY": "c"})
    await vault.write("ws_two", {"OPENAI_API_KEY": "d"})
    assert await vault.read("ws_one") == {"OPENAI_API_KEY": "c"}
    assert await vault.read("ws_two") == {"OPENAI_API_KEY": "d"}


async def test_what_is_deleted_can_be_written_again(vault: Vault) -> None:
    await vault.write("ws_one", {})
    await vault.write("ws_one", {"OPENAI_API_KEY": "a"})
    await vault.write("ws_one", {})
    assert await vault.read("ws_one") == {}
    await vault.write("ws_one", {"OPENAI_API_KEY": "b"})
    assert await vault.read("ws_one") == {"OPENAI_API_KEY": "b"}
