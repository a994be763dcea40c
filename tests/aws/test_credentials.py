import pytest
from aiodynamo.credentials import ChainCredentials, ContainerMetadataCredentials, Key, StaticCredentials

from tests.aws.script import ScriptedTransport
from tidegate.aws.credentials import AwsIdentity, find_credentials
from tidegate.errors import ProviderUnreachable, StoreUnavailable
from tidegate.upstream.sigv4 import AwsKey

pytestmark = pytest.mark.anyio

CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}


def test_keys_in_the_environment_come_first() -> None:
    env = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token", **CONTAINER}
    assert find_credentials(env) == StaticCredentials(Key("id", "secret", "token"))


def test_a_container_has_its_endpoint() -> None:
    found = find_credentials({**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"})
    assert isinstance(found, ContainerMetadataCredentials)
    assert (str(found.url), found.auth_token) == (CONTAINER["AWS_CONTAINER_CREDENTIALS_FULL_URI"], "token")


def test_else_it_is_aiodynamos_chain() -> None:
    assert isinstance(find_credentials({}), ChainCredentials)


async def test_our_signer_has_the_same_key() -> None:
    credentials = StaticCredentials(Key("id", "secret", "token"))
    assert await AwsIdentity(credentials, ScriptedTransport([None]))() == AwsKey("id", "secret", "token")


async def test_a_containers_key_is_fetched() -> None:
    body = {"AccessKeyId": "id", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2999-01-01T00:00:00Z"}
    transport = ScriptedTransport([(200, body)])
    identity = AwsIdentity(find_credentials(CONTAINER), transport)
    assert [await identity(), await identity()] == [AwsKey("id", "secret", "token")] * 2
    assert [request.method for request in transport.requests] == ["GET"]


@pytest.mark.parametrize("trouble", [ProviderUnreachable("gone"), (500, b""), (200, b"<html>"), (200, {})])
async def test_a_container_that_does_not_answer_is_an_unavailable_store(trouble: object) -> None:
    identity = AwsIdentity(find_credentials(CONTAINER), ScriptedTransport([trouble]))
    with pytest.raises(StoreUnavailable):
        await identity()


async def test_no_credentials_is_an_unavailable_store() -> None:
    with pytest.raises(StoreUnavailable):
        await AwsIdentity(StaticCredentials(None), ScriptedTransport([None]))()
