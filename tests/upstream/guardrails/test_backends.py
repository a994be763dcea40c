"""Webhooks and Bedrock's guardrails: what they are sent, and what is made of what they say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.errors import GuardrailUnavailable
from tidegate.settings import EnvironmentSecrets
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.transport.sigv4 import AwsKey, SigningScope, sign
from tidegate.upstream.guardrails.backends import GuardrailBackends

NOW = 1_700_000_000.0
HOOK = Guardrail("hook", "webhook", url="https://hook.example/check", secret="HOOK_TOKEN")
BEDROCK = Guardrail("aws", "bedrock", guardrail_id="abc123", guardrail_version="2")
ASKED = GuardrailQuery("01CALL", "ws_test", "openai/m", "input", ("one", "two"), 5.0, is_trusted=True)
KEY = AwsKey("AKIDEXAMPLE", "a-secret")


@dataclass
class Remembering:
    """A transport that keeps what it was asked: `address` never reaches an HTTP client's handler."""

    inner: HttpxTransport
    requests: list[HttpRequest]

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        self.requests.append(request)
        async with self.inner.open(replace(request, address=None), timeouts) as response:
            yield response

    async def close(self) -> None:
        await self.inner.close()


def judges(
    answer: Callable[[Any], httpx.Response],
    addresses: Mapping[str, list[str]] | None = None,
    settings: Any = None,
    **options: Any,
) -> tuple[GuardrailBackends, list[HttpRequest]]:
    def handle(request: httpx.Request) -> httpx.Response:
        return answer(json.loads(request.content))

    async def resolve(host: str, port: int) -> list[str]:
        return (addresses or {})[host]

    async def keys() -> AwsKey:
        return KEY

    requests: list[HttpRequest] = []
    transport = Remembering(HttpxTransport(httpx.MockTransport(handle)), requests)
    secrets = EnvironmentSecrets({"HOOK_TOKEN": "hook-token", **(settings or {})})
    fetcher = MediaFetcher(transport, resolve=resolve)
    given = {"region": "eu-central-1", "aws_keys": keys, "clock": lambda: NOW, **options}
    return GuardrailBackends(transport, secrets, fetcher, **given), requests


def says(answer: Any, status: int = 200) -> Callable[[Any], httpx.Response]:
    return lambda _: httpx.Response(status, json=answer)


async def test_a_webhook_is_sent_the_texts_and_what_they_are_of() -> None:
    asked, requests = judges(says({"verdict": "pass"}))
    assert await asked.judge(HOOK, ASKED) == Verdict(True)
    (request,) = requests
    assert json.loads(request.body) == {
        "guardrail": "hook",
        "stage": "input",
        "call_id": "01CALL",
        "workspace_id": "ws_test",
        "model": "openai/m",
        "texts": ["one", "two"],
    }
    assert (request.url, request.headers["authorization"], request.address) == (HOOK.url, "Bearer hook-token", None)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"verdict": "block"}, Verdict(False)),
        ({"verdict": "mask", "texts": ["1", "2"]}, Verdict(True, ("1", "2"))),
        ({"verdict": "pass", "texts": ["1"], "why": "nobody asked"}, Verdict(True)),
    ],
)
async def test_a_webhook_blocks_and_masks(answer: Any, expected: Verdict) -> None:
    asked, _ = judges(says(answer))
    assert await asked.judge(HOOK, ASKED) == expected


@pytest.mark.parametrize(
    "answer",
    [
        says({}),
        says([]),
        says({"verdict": "maybe"}),
        says({"verdict": "mask"}),
        says({"verdict": "mask", "texts": ["1"]}),
        says({"verdict": "mask", "texts": ["1", 2]}),
        says({"verdict": "pass"}, 500),
        says({"verdict": "pass"}, 302),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, content=b"\xff"),
        lambda _: httpx.Response(200, content=b"[" * 100_000),
    ],
)
async def test_an_answer_that_is_none_is_no_verdict(answer: Callable[[Any], httpx.Response]) -> None:
    asked, _ = judges(answer)
    with pytest.raises(GuardrailUnavailable) as caught:
        await asked.judge(HOOK, ASKED)
    assert caught.value.message == "The guardrail 'hook' did not return a verdict."


async def test_a_webhook_that_is_not_there_gives_none() -> None:
    def refuse(_: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(GuardrailUnavailable):
        await judges(refuse)[0].judge(HOOK, ASKED)


async def test_nor_does_one_that_does_not_answer_in_time() -> None:
    hangs, _ = judges(says({"verdict": "pass"}))
    waiting = asyncio.Event()

    class Slow(Remembering):
        @asynccontextmanager
        async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
            await waiting.wait()
            raise AssertionError
            yield

    slow = replace(hangs, transport=Slow(HttpxTransport(), []))
    with pytest.raises(GuardrailUnavailable):
        await slow.judge(HOOK, replace(ASKED, timeout_seconds=0.0))


async def test_a_webhook_whose_secret_is_not_set_is_not_asked() -> None:
    asked, requests = judges(says({"verdict": "pass"}))
    with pytest.raises(GuardrailUnavailable):
        await asked.judge(replace(HOOK, secret="ABSENT"), ASKED)
    assert requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"])
async def test_a_workspaces_webhook_is_not_asked_at_a_private_address(address: str) -> None:
    asked, requests = judges(says({"verdict": "pass"}), {"hook.example": ["93.184.216.34", address]})
    with pytest.raises(GuardrailUnavailable):
        await asked.judge(HOOK, replace(ASKED, is_trusted=False))
    assert requests == []


async def test_a_workspaces_webhook_is_asked_at_the_address_that_was_checked_and_gets_no_secret() -> None:
    asked, requests = judges(says({"verdict": "pass"}), {"hook.example": ["93.184.216.34"]})
    assert await asked.judge(HOOK, replace(ASKED, is_trusted=False)) == Verdict(True)
    (request,) = requests
    assert (request.address, "authorization" in request.headers) == ("93.184.216.34", False)


def intervened(*outputs: str, **assessment: Any) -> dict[str, Any]:
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text} for text in outputs],
        "assessments": [assessment],
    }


ANONYMIZED = {"sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "action": "ANONYMIZED"}]}}
BLOCKED = {"topicPolicy": {"topics": [{"name": "money", "type": "DENY", "action": "BLOCKED"}]}}


async def test_bedrock_is_asked_with_a_signature_over_its_own_path() -> None:
    asked, requests = judges(says({"action": "NONE", "outputs": [], "assessments": [{}]}))
    assert await asked.judge(BEDROCK, ASKED) == Verdict(True, ("one", "two"))
    (request,) = requests
    assert request.url == "https://bedrock-runtime.eu-central-1.amazonaws.com/guardrail/abc123/version/2/apply"
    assert json.loads(request.body) == {
        "source": "INPUT",
        "content": [{"text": {"text": "one"}}, {"text": {"text": "two"}}],
    }
    headers = {"content-type": "application/json", "accept": "application/json"}
    scope = SigningScope("bedrock", "eu-central-1")
    assert request.headers == sign("POST", request.url, headers, request.body, KEY, scope, at=NOW)


async def test_a_guardrail_may_be_of_another_region_and_named_by_its_arn() -> None:
    asked, requests = judges(says({"action": "NONE"}))
    arn = "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc"
    elsewhere = replace(BEDROCK, guardrail_id=arn, region="us-east-1")
    await asked.judge(elsewhere, replace(ASKED, stage="output"))
    (request,) = requests
    assert request.url == (
        "https://bedrock-runtime.us-east-1.amazonaws.com"
        "/guardrail/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aguardrail%2Fabc/version/2/apply"
    )
    assert json.loads(request.body)["source"] == "OUTPUT"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (intervened("1", "2", **ANONYMIZED), Verdict(True, ("1", "2"))),
        (intervened("Sorry.", **BLOCKED), Verdict(False)),
        (intervened("Sorry.", **BLOCKED, **ANONYMIZED), Verdict(False)),
        (intervened("Sorry."), Verdict(False)),
        (
            intervened("1", "2", **ANONYMIZED, contentPolicy={"filters": [{"action": "NONE"}]}),
            Verdict(True, ("1", "2")),
        ),
    ],
)
async def test_what_bedrock_masks_is_masked_and_all_else_is_blocked(answer: Any, expected: Verdict) -> None:
    asked, _ = judges(says(answer))
    assert await asked.judge(BEDROCK, ASKED) == expected


async def test_where_it_is_not_said_which_text_was_masked_each_is_asked_for_alone() -> None:
    def answer(body: Any) -> httpx.Response:
        texts = [each["text"]["text"] for each in body["content"]]
        masked = [text.upper() for text in texts if text == "two"]
        return httpx.Response(200, json=intervened(*masked, **ANONYMIZED) if masked else {"action": "NONE"})

    asked, requests = judges(answer)
    assert await asked.judge(BEDROCK, ASKED) == Verdict(True, ("one", "TWO"))
    assert len(requests) == 3


async def test_long_texts_are_asked_for_in_parts() -> None:
    sizes: list[list[int]] = []

    def answer(body: Any) -> httpx.Response:
        sizes.append([len(each["text"]["text"]) for each in body["content"]])
        return httpx.Response(200, json={"action": "NONE"})

    texts = ("a" * 45_000, "b" * 14_000, "c" * 100)
    asked, _ = judges(answer)
    assert await asked.judge(BEDROCK, replace(ASKED, texts=texts)) == Verdict(True, texts)
    assert sizes == [[20_000], [20_000], [5_000, 14_000, 100]]


@pytest.mark.parametrize(
    "answer",
    [
        says({"message": "Too many requests."}, 429),
        says({"action": "ELSE"}),
        says([]),
        says(intervened(**ANONYMIZED)),
    ],
)
async def test_bedrock_that_gives_no_verdict_is_unavailable(answer: Callable[[Any], httpx.Response]) -> None:
    asked, _ = judges(answer)
    with pytest.raises(GuardrailUnavailable):
        await asked.judge(BEDROCK, replace(ASKED, texts=("one",)))


async def test_without_credentials_there_is_nothing_to_sign_with() -> None:
    asked, requests = judges(says({"action": "NONE"}), aws_keys=None)
    with pytest.raises(GuardrailUnavailable):
        await asked.judge(BEDROCK, ASKED)
    assert requests == []


async def test_the_providers_settings_say_where_bedrock_is() -> None:
    settings = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:4566/", "BEDROCK_REGION": "eu-west-1"}
    asked, requests = judges(says({"action": "NONE"}), settings=settings)
    await asked.judge(BEDROCK, ASKED)
    assert requests[0].url == "http://127.0.0.1:4566/guardrail/abc123/version/2/apply"
    assert "/eu-west-1/bedrock/" in requests[0].headers["authorization"]
