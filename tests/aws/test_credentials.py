from pathlib import Path

import pytest

from tests.aws.script import ScriptedTransport
from tests.store_worlds import NOON, Clock
from tidegate.aws.credential_chain import Boto3Credentials, ContainerCredentials, credential_chain
from tidegate.aws.credentials import LazyCredentialChain, find_credentials
from tidegate.errors import ProviderUnreachable, StoreUnavailable
from tidegate.transport.aws_credentials import SigningKeys, StaticCredentials
from tidegate.transport.sigv4 import AwsKey

URL = "http://169.254.170.23/v1/credentials"
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": URL}
TROUBLES = [ProviderUnreachable("gone"), (500, b""), (200, b"<html>"), (200, {})]


def told(id: str = "id", expires: str = "2026-11-21T13:00:00Z", **more: str) -> tuple[int, object]:
    return 200, {"AccessKeyId": id, "SecretAccessKey": "secret", "Expiration": expires, **more}


def test_keys_in_the_environment_come_first() -> None:
    env = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token", **CONTAINER}
    assert find_credentials(env) == StaticCredentials(AwsKey("id", "secret", "token"))


def test_else_something_is_looked_for_at_the_first_use() -> None:
    assert isinstance(find_credentials({}), LazyCredentialChain)
    assert isinstance(find_credentials(CONTAINER), LazyCredentialChain)


def test_a_container_has_its_endpoint() -> None:
    token, file = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"}, {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token"}
    assert credential_chain({**CONTAINER, **token}) == ContainerCredentials(URL, "token")
    assert credential_chain({**CONTAINER, **file}) == ContainerCredentials(URL, None, Path("/token"))
    relative = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1"}
    assert credential_chain(relative) == ContainerCredentials("http://169.254.170.2/v2/credentials/1")


def test_a_person_has_what_boto3_finds() -> None:
    assert isinstance(credential_chain({}), Boto3Credentials)


async def test_our_signer_has_the_same_key() -> None:
    credentials = StaticCredentials(AwsKey("id", "secret", "token"))
    assert await SigningKeys(credentials, ScriptedTransport([None]))() == AwsKey("id", "secret", "token")


async def test_a_containers_key_is_fetched_once() -> None:
    transport = ScriptedTransport([told(expires="2999-01-01T00:00:00Z", Token="session")])
    identity = SigningKeys(find_credentials({**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"}), transport)
    assert [await identity(), await identity()] == [AwsKey("id", "secret", "session")] * 2
    [request] = transport.requests
    assert (request.method, request.url, request.headers) == ("GET", URL, {"authorization": "token"})


async def test_a_token_in_a_file_is_read_anew(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", Clock()
    transport = ScriptedTransport([told(), told()])
    credentials = ContainerCredentials(URL, None, file, clock)
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        await credentials.key(transport)
        clock.now += 3600
    assert [request.headers["authorization"] for request in transport.requests] == ["first", "second"]
    file.unlink()
    with pytest.raises(StoreUnavailable):
        await credentials.key(transport)


async def test_a_containers_key_is_replaced_before_it_expires() -> None:
    clock = Clock()
    transport = ScriptedTransport([told("first"), told("second", "2026-11-21T14:00:00Z")])
    credentials = ContainerCredentials(URL, clock=clock)
    ids: list[str] = []
    for clock.now in (NOON, NOON + 3299, NOON + 3300, NOON + 6000):
        found = await credentials.key(transport)
        assert found
        ids.append(found.id)
    assert ids == ["first", "first", "second", "second"]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_key_that_is_still_good_outlives_its_endpoint(trouble: object) -> None:
    clock = Clock()
    credentials = ContainerCredentials(URL, clock=clock)
    transport = ScriptedTransport([told(), trouble])
    first = await credentials.key(transport)
    clock.now += 3400
    assert await credentials.key(transport) == first
    clock.now += 200
    with pytest.raises(StoreUnavailable):
        await credentials.key(transport)


@pytest.mark.parametrize("trouble", [*TROUBLES, told(expires="soon")])
async def test_a_container_that_does_not_answer_is_an_unavailable_store(trouble: object) -> None:
    identity = SigningKeys(find_credentials(CONTAINER), ScriptedTransport([trouble]))
    with pytest.raises(StoreUnavailable):
        await identity()


async def test_a_profile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[tide]\naws_access_key_id = id\naws_secret_access_key = secret\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "tide")
    identity = SigningKeys(find_credentials({"AWS_PROFILE": "tide"}), ScriptedTransport([None]))
    assert [await identity(), await identity()] == [AwsKey("id", "secret")] * 2
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreUnavailable, match="could not be read"):
        await SigningKeys(find_credentials({}), ScriptedTransport([None]))()


async def test_no_credentials_is_an_unavailable_store() -> None:
    with pytest.raises(StoreUnavailable):
        await SigningKeys(StaticCredentials(None), ScriptedTransport([None]))()
