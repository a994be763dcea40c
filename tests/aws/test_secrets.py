import asyncio
import json
import logging

import boto3
import pytest

from tests.aws.script import ScriptedTransport, fault
from tests.store_worlds import NOON, REGION, Clock
from tidegate.aws.secrets import CachedSecrets, ProviderSecret, SecretsManagerClient, provider_secret
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable
from tidegate.transport.aws_service import AwsService
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


def holding(**values: object) -> tuple[int, object]:
    return 200, {"ARN": "arn", "Name": "providers", "SecretString": json.dumps(values)}


class Bench:
    def __init__(self, *answers: object) -> None:
        self.transport = ScriptedTransport(answers)
        self.wall, self.monotonic = Clock(NOON), Clock(100.0)
        service = AwsService(self.transport, aws_key, REGION, "secretsmanager", clock=self.wall)
        source = ProviderSecret(SecretsManagerClient(service), "providers")
        fallback = {"OPENAI_API_KEY": "from the environment", "GROQ_API_KEY": "only here"}
        self.secrets = CachedSecrets(source, fallback, self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.wall.now += seconds
        self.monotonic.now += seconds


async def test_values_are_looked_up_by_name() -> None:
    made = Bench(holding(OPENAI_API_KEY=" a-key\n", EMPTY="", NUMBER=5))
    names = ("OPENAI_API_KEY", "GROQ_API_KEY", "EMPTY", "NUMBER", "UNKNOWN")
    values = ["a-key", "only here", None, None, None]
    assert made.secrets.cached("OPENAI_API_KEY") is None
    assert [await made.secrets.get(name) for name in names] == values
    assert [made.secrets.cached(name) for name in names] == values
    assert len(made.transport.requests) == 1


async def test_the_request_is_signed_and_names_the_secret() -> None:
    made = Bench(holding())
    await made.secrets.get("OPENAI_API_KEY")
    sent = made.transport.requests[0]
    assert (sent.method, sent.url) == ("POST", "https://secretsmanager.eu-central-1.amazonaws.com/")
    assert sent.body == b'{"SecretId":"providers"}'
    scope = "testing/20261121/eu-central-1/secretsmanager/aws4_request"
    assert sent.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={scope}, ")


async def test_values_are_read_again_after_five_minutes() -> None:
    made = Bench(holding(OPENAI_API_KEY="old"), holding(OPENAI_API_KEY="new"))
    assert await made.secrets.get("OPENAI_API_KEY") == "old"
    made.pass_time(299.9)
    assert await made.secrets.get("OPENAI_API_KEY") == "old"
    made.pass_time(0.1)
    assert made.secrets.cached("OPENAI_API_KEY") is None
    assert await made.secrets.get("OPENAI_API_KEY") == "new"


async def test_values_age_while_the_process_is_frozen() -> None:
    made = Bench(holding(OPENAI_API_KEY="old"), holding(OPENAI_API_KEY="new"))
    await made.secrets.get("OPENAI_API_KEY")
    made.wall.now += 300
    assert await made.secrets.get("OPENAI_API_KEY") == "new"


async def test_look_ups_at_the_same_time_share_one_read() -> None:
    made = Bench(holding(OPENAI_API_KEY="a-key"))
    found = await asyncio.gather(*(made.secrets.get("OPENAI_API_KEY") for _ in range(20)))
    assert (found, len(made.transport.requests)) == (["a-key"] * 20, 1)


TROUBLE = [
    fault("AccessDeniedException"),
    fault("ResourceNotFoundException"),
    (500, b""),
    (200, b"<html>"),
    (200, {"SecretBinary": "AAAA"}),
    (200, {"SecretString": "not json: s3cret"}),
    (200, {"SecretString": '["s3cret"]'}),
    ProviderTimeout("late"),
    ProviderUnreachable("gone"),
]


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_old_values_stay_when_they_cannot_be_read_again(
    trouble: object, caplog: pytest.LogCaptureFixture
) -> None:
    made = Bench(holding(OPENAI_API_KEY="old"), trouble, holding(OPENAI_API_KEY="new"))
    await made.secrets.get("OPENAI_API_KEY")
    made.pass_time(300)
    with caplog.at_level(logging.WARNING):
        assert await made.secrets.get("OPENAI_API_KEY") == "old"
    assert [record.message for record in caplog.records] == ["secrets.stale"]
    assert await made.secrets.get("OPENAI_API_KEY") == "old"
    made.pass_time(15)
    assert await made.secrets.get("OPENAI_API_KEY") == "new"


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_without_values_the_store_is_unavailable_and_says_nothing_secret(
    trouble: object, caplog: pytest.LogCaptureFixture
) -> None:
    made = Bench(trouble, holding(OPENAI_API_KEY="a-key"))
    with pytest.raises(StoreUnavailable) as caught:
        await made.secrets.get("OPENAI_API_KEY")
    assert "s3cret" not in caught.value.message + caplog.text
    assert await made.secrets.get("OPENAI_API_KEY") == "a-key"


async def test_secrets_are_not_printed() -> None:
    made = Bench(holding(OPENAI_API_KEY="s3cret"))
    await made.secrets.get("OPENAI_API_KEY")
    assert "s3cret" not in repr(made.secrets)
    assert "from the environment" not in repr(made.secrets)


async def test_a_real_endpoint_is_read(aws_endpoint: str) -> None:
    client = boto3.client("secretsmanager", endpoint_url=aws_endpoint, region_name=REGION)
    client.create_secret(Name="providers", SecretString='{"OPENAI_API_KEY": "a-key"}')
    client.close()
    transport = ReqwestTransport()
    source = provider_secret(transport, aws_key, "providers", REGION, aws_endpoint)
    assert await source.read() == {"OPENAI_API_KEY": "a-key"}
    with pytest.raises(StoreUnavailable, match="ResourceNotFoundException"):
        await provider_secret(transport, aws_key, "unknown", REGION, aws_endpoint).read()
    await transport.close()
