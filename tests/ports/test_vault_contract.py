"""What `Vault` promises, in every room."""

import uuid
from collections.abc import AsyncIterator

import boto3
import pytest

from tests.store_worlds import REGION
from tidegate.aws.secrets import create_secrets_manager_client
from tidegate.aws.vault import SecretsManagerVault
from tidegate.aws.world import AwsWorld
from tidegate.memory.vault import MemoryVault
from tidegate.ports import Vault
from tidegate.settings import Settings
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


async def test_a_secret_is_created_under_the_key_that_is_set(aws_endpoint: str) -> None:
    kms = boto3.client("kms", endpoint_url=aws_endpoint, region_name=REGION)
    secrets = boto3.client("secretsmanager", endpoint_url=aws_endpoint, region_name=REGION)
    kms_key = kms.create_key()["KeyMetadata"]["Arn"]
    prefix = f"tidegate-{uuid.uuid4()}/workspaces"
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws_endpoint}
    env |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "TIDEGATE_WORKSPACE_SECRETS": prefix}
    for key, expected in ((kms_key, kms_key), ("", None)):
        async with AwsWorld(Settings.from_env({**env, "TIDEGATE_WORKSPACE_SECRETS_KEY": key})) as world:
            assert world.vault is not None
            name = f"ws_{bool(key)}"
            await world.vault.write(name, {"OPENAI_API_KEY": "a"})
        assert secrets.describe_secret(SecretId=f"{prefix}/{name}").get("KmsKeyId") == expected


async def test_what_is_deleted_can_be_written_again(vault: Vault) -> None:
    await vault.write("ws_one", {})
    await vault.write("ws_one", {"OPENAI_API_KEY": "a"})
    await vault.write("ws_one", {})
    assert await vault.read("ws_one") == {}
    await vault.write("ws_one", {"OPENAI_API_KEY": "b"})
    assert await vault.read("ws_one") == {"OPENAI_API_KEY": "b"}
