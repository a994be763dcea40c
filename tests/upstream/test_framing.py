"""JSON where events were asked for, events under another content type, and the header that carries a key."""

import json
from typing import Any

import httpx
import pytest

from tests.providers.calls import call
from tidegate.domain.deployment import Deployment
from tidegate.errors import ProviderMalformed, ProviderRateLimited
from tidegate.providers import Registry
from tidegate.providers.base import AccessToken, KeyAuth
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.settings import EnvironmentSecrets
from tidegate.transport.httpx import HttpxTransport
from tidegate.upstream.attempt import Upstream

WHOLE: dict[str, Any] = {
    "vllm": {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
    "anthropic": {
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "bedrock": {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    },
    "cohere": {
        "message": {"content": [{"type": "text", "text": "Hello"}]},
        "finish_reason": "COMPLETE",
        "usage": {"tokens": {"input_tokens": 1, "output_tokens": 2}},
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    },
}
SSE = (
    'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": null}]}\n\n'
    'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


async def stream(provider: str, content: bytes, content_type: str) -> tuple[str, str | None, Any]:
    """The text, the finish reason and the tokens of a stream that the provider answers with `content`."""
    answer = httpx.Response(200, headers={"content-type": content_type}, content=content)
    upstream = Upstream(HttpxTransport(httpx.MockTransport(lambda _: answer)), EnvironmentSecrets({}))
    translator = ChatTranslator(Registry().load(provider))
    body = {"model": f"{provider}/m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    request = translator.build_request(call(body), Deployment(provider, "m", "https://host.invalid"))
    text, reason, tokens = "", None, None
    unsigned = type(request)(request.url, request.body, request.headers, None)
    async with upstream.open(translator, unsigned, secret=None, stream=True, seconds=5) as reply:
        assert reply.batches is not None
        async for batch in reply.batches:
            chunk: Any
            for chunk in batch:
                usage = chunk.get("usage")
                tokens = (usage["prompt_tokens"], usage["completion_tokens"]) if usage else tokens
                for choice in chunk["choices"]:
                    text += choice["delta"].get("content") or ""
                    reason = choice["finish_reason"] or reason
    return text, reason, tokens


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain"])
@pytest.mark.parametrize("provider", WHOLE)
async def test_a_whole_reply_to_a_request_for_a_stream_becomes_a_stream(provider: str, content_type: str) -> None:
    content = b"\n " + json.dumps(WHOLE[provider]).encode()
    assert await stream(provider, content, content_type) == ("Hello", "stop", (1, 2))


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain", ""])
async def test_events_are_events_under_every_content_type(content_type: str) -> None:
    assert await stream("vllm", SSE.encode(), content_type) == ("Hello", "stop", None)


async def test_a_list_of_events_is_a_stream() -> None:
    """Google sends one without `alt=sse`, which a proxy may drop."""
    events = [
        {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}]},
    ]
    assert await stream("gemini", json.dumps(events).encode(), "application/json") == ("Hello", "stop", None)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_an_error_in_json_is_the_providers_error(content_type: str) -> None:
    error = {"error": {"message": "Slow down", "code": 429}}
    for body in (error, [error]):
        with pytest.raises(ProviderRateLimited, match="Slow down"):
            await stream("vllm", json.dumps(body).encode(), content_type)


async def test_half_a_character_and_what_is_no_number_are_replaced() -> None:
    """Python's `json` reads both, so official SDKs do."""
    text = json.dumps(WHOLE["vllm"]).replace("Hello", r"a \\ud83d \ud83d \ud83d\ude00")
    text = text.replace('"index": 0', '"index": 0, "logprobs": {"content": [{"logprob": -Infinity}]}')
    assert (await stream("vllm", text.encode(), "application/json"))[0] == "a \\ud83d \ufffd 😀"


@pytest.mark.parametrize("content", [b'{"choices": [', b"{}", b'{"a": 1}'])
async def test_json_that_is_no_reply_is_malformed(content: bytes) -> None:
    with pytest.raises(ProviderMalformed):
        await stream("vllm", content, "application/json")


@pytest.mark.parametrize(
    ("auth", "key", "header"),
    [
        (KeyAuth("x-goog-api-key", ""), "AIzaSy-not-a-key", ("x-goog-api-key", "AIzaSy-not-a-key")),
        (KeyAuth("x-goog-api-key", ""), "AQ.not-a-key", ("x-goog-api-key", "AQ.not-a-key")),
        (KeyAuth("x-goog-api-key", ""), "ya29.not-a-token", ("authorization", "Bearer ya29.not-a-token")),
        (KeyAuth("x-goog-api-key", ""), AccessToken("any"), ("authorization", "Bearer any")),
        (KeyAuth("api-key", ""), "0123456789abcdef", ("api-key", "0123456789abcdef")),
        (KeyAuth("api-key", ""), "eyJa.eyJb.c", ("authorization", "Bearer eyJa.eyJb.c")),
        (KeyAuth(), "bedrock-api-key-not", ("authorization", "Bearer bedrock-api-key-not")),
        (KeyAuth("x-api-key", ""), "sk-not", ("x-api-key", "sk-not")),
    ],
)
def test_an_api_key_and_an_access_token_have_their_own_headers(
    auth: KeyAuth, key: str, header: tuple[str, str]
) -> None:
    assert auth.header_of(key) == header


@pytest.mark.parametrize(("provider", "header"), [("vertex", "x-goog-api-key"), ("gemini", "x-goog-api-key")])
def test_googles_keys_are_api_keys(provider: str, header: str) -> None:
    request = (
        Registry()
        .load(provider)
        .build_request(
            call({"model": f"{provider}/m", "messages": [{"role": "user", "content": "Hi"}]}),
            Deployment(provider, "m", "https://aiplatform.googleapis.com/v1"),
        )
    )
    assert request.auth == KeyAuth(header, "")
    if provider == "vertex":
        path = "/v1/publishers/google/models/m:generateContent"
        assert request.url == f"https://aiplatform.googleapis.com{path}"
