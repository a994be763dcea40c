"""What `Vault` promises, in every room."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping

import boto3
import pytest

from tests.store_worlds import REGION, sqlite_store
from tidegate.aws.secrets import create_secrets_manager_client
from tidegate.aws.vault import SecretsManagerVault
from tidegate.aws.world import AwsWorld
from tidegate.memory.vault import MemoryVault
from tidegate.ports import Vault
from tidegate.settings import Settings
from tidegate.sqlite.vault import TableVault
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


@pytest.fixture(params=["memory", "aws", "sqlite"])
async def vault(request: pytest.FixtureRequest) -> AsyncIterator[Vault]:
    if request.param == "memory":
        yield MemoryVault()
        return
    if request.param == "sqlite":
        async with sqlite_store(request.getfixturevalue("sqlite_endpoint"), str(uuid.uuid4()), time.time) as store:
            yield TableVault(store)
        return
    transport = ReqwestTransport()
    client = create_secrets_manager_client(transport, aws_key, REGION, request.getfixturevalue("aws_endpoint"))
    yield SecretsManagerVault(client, f"tidegate-{uuid.uuid4()}/workspaces")
    await transport.close()


async def test_a_workspace_has_what_was_written_last(vault: Vault) -> None:
    assert await vault.read("ws_one") == {}
    await vault.update("ws_one", lambda _: {"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b"})
    await vault.update("ws_one", lambda _: {"OPENAI_API_KEY": "c"})
    await vault.update("ws_two", lambda _: {"OPENAI_API_KEY": "d"})
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
            await world.vault.update(name, lambda _: {"OPENAI_API_KEY": "a"})
        assert secrets.describe_secret(SecretId=f"{prefix}/{name}").get("KmsKeyId") == expected


async def test_what_is_deleted_can_be_written_again(vault: Vault) -> None:
    await vault.update("ws_one", lambda _: {})
    await vault.update("ws_one", lambda _: {"OPENAI_API_KEY": "a"})
    await vault.update("ws_one", lambda _: {})
    assert await vault.read("ws_one") == {}
    await vault.update("ws_one", lambda _: {"OPENAI_API_KEY": "b"})
    assert await vault.read("ws_one") == {"OPENAI_API_KEY": "b"}


async def test_no_update_loses_another_one(vault: Vault) -> None:
    names = [f"NAME{i}_API_KEY" for i in range(3)]
    for value in ("first", "second"):  # the secret is created, and then changed

        async def put(name: str, value: str) -> None:
            await vault.update("ws_one", lambda credentials: {**credentials, name: value})

        await asyncio.gather(*(put(name, value) for name in names))
        assert await vault.read("ws_one") == dict.fromkeys(names, value)


async def test_an_update_between_reading_and_writing_is_read_again(aws_endpoint: str) -> None:
    transport = ReqwestTransport()
    client = create_secrets_manager_client(transport, aws_key, REGION, aws_endpoint)
    vault = SecretsManagerVault(client, f"tidegate-{uuid.uuid4()}/workspaces")
    other = boto3.client("secretsmanager", endpoint_url=aws_endpoint, region_name=REGION)
    name = f"{vault.prefix}/ws_one"
    await vault.update("ws_one", lambda _: {"A_API_KEY": "a"})
    read: list[Mapping[str, str]] = []

    def change(credentials: Mapping[str, str]) -> Mapping[str, str]:
        if not read:  # another process writes the next version first
            version = other.get_secret_value(SecretId=name)["VersionId"]
            token = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{version}"))
            other.put_secret_value(SecretId=name, SecretString='{"B_API_KEY": "b"}', ClientRequestToken=token)
        read.append(credentials)
        return {**credentials, "C_API_KEY": "c"}

    await vault.update("ws_one", change)
    assert read == [{"A_API_KEY": "a"}, {"B_API_KEY": "b"}]
    assert await vault.read("ws_one") == {"B_API_KEY": "b", "C_API_KEY": "c"}
    await transport.close()
