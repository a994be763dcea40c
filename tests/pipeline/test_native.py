"""Calls to providers with dialects of their own, from the door to the record, with the provider played by the test."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.clients.published import check_completion, check_stream
from tests.native_providers import (
    ANTHROPIC,
    AZURE,
    BEDROCK,
    COHERE,
    GEMINI,
    NATIVES,
    SAID,
    VERTEX,
    Native,
    ask,
    handler_of,
    streamed,
)
from tests.world import USER, Client, world
from tidegate.domain.usage import TokenCounts

natives = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)


def sent(client: Client, place: int = -1) -> Any:
    return json.loads(client.requests[place].content)


def expected_usage(native: Native) -> dict[str, Any]:
    return {
        "prompt_tokens": 100,
        "completion_tokens": 12,
        "total_tokens": 112,
        "words_used": 9,
        "words_details": {"input_words": 8, "output_words": 9, "method": "tokens"},
        "cost": pytest.approx(native.cost * 1e-6),
    }


def without_details(usage: dict[str, Any]) -> dict[str, Any]:
    told = {"prompt_tokens_details", "completion_tokens_details", "billed_units"}
    return {name: value for name, value in usage.items() if name not in told}


@natives
async def test_a_plain_call_is_translated_answered_billed_and_recorded(native: Native) -> None:
    async with world(native.answer, **native.env) as client:
        reply = await client.post(ask(native))
        body = reply.json
        check_completion(body)
        assert (body["object"], body["model"]) == ("chat.completion", native.id)
        assert body["choices"][0]["message"]["content"] == SAID
        assert body["choices"][0]["finish_reason"] == "stop"
        assert without_details(body["usage"]) == expected_usage(native)
        assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 40
        assert body["usage"]["prompt_tokens_details"].get("cache_write_tokens", 0) == native.written
        assert reply.headers["x-tidegate-provider"] == native.name
        (request,) = client.requests
        assert str(request.url) == native.path
        assert request.headers[native.auth[0]] == native.auth[1]
        assert "sk-tidegate" not in str(request.headers)
        (outcome,) = client.recorder.outcomes
        assert (outcome.status, outcome.finish_reason) == ("ok", "stop")
        assert (outcome.bill.tokens.input, outcome.bill.tokens.output) == (100, 12)
        assert (outcome.bill.tokens.cached, outcome.bill.tokens.written) == (40, native.written)
        assert float(outcome.bill.cost_usd or 0) == pytest.approx(native.cost * 1e-6)


@natives
async def test_a_stream_says_and_costs_the_same(native: Native) -> None:
    async with world(handler_of(native), **native.env) as client:
        asked = ask(native, stream=True, stream_options={"include_usage": True})
        reply = await client.post(asked)
        *chunks, usage, done = check_stream(reply.body, asked)
        assert done == "[DONE]"
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == SAID
        assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]] == ["stop"]
        assert without_details(usage["usage"]) == expected_usage(native)
        (outcome,) = client.recorder.outcomes
        assert (outcome.status, outcome.bill.tokens.cached, outcome.bill.tokens.written) == ("ok", 40, native.written)
        assert float(outcome.bill.cost_usd or 0) == pytest.approx(native.cost * 1e-6)


@natives
async def test_the_usage_is_metered_though_the_caller_does_not_want_it(native: Native) -> None:
    async with world(handler_of(native), **native.env) as client:
        asked = ask(native, stream=True)
        check_stream((await client.post(asked)).body, asked)
        tokens = client.recorder.outcomes[0].bill.tokens
        assert (tokens.input, tokens.output, tokens.estimated) == (100, 12, False)


@natives
async def test_a_provider_answers_by_its_other_names_too(native: Native) -> None:
    async with world(handler_of(native), **native.env) as client:
        for alias in native.aliases:
            reply = await client.post({**ask(native), "model": f"{alias}/{native.model}"})
            assert (reply.status, reply.headers["x-tidegate-model"]) == (200, native.id)


# Failures.


@natives
@pytest.mark.parametrize("how", ["reset", "ended", "said", "nonsense"])
async def test_a_stream_that_breaks_ends_in_an_error_and_is_metered_once(native: Native, how: str) -> None:
    """`reset`: the connection; `ended`: without a finish; `said`: the provider's own error; `nonsense`: no dialect."""
    begun = native.pieces[: 4 if native is AZURE or native is COHERE else 3]
    begun = begun if native not in (GEMINI, VERTEX) else native.pieces[:1]
    nonsense = b"data: [1]\n\n" if native is not BEDROCK else native.pieces[1][:-3] + b"abc"
    code = {
        "reset": "provider_stream_cut",
        "ended": "provider_stream_cut",
        "said": native.broken_code,
        "nonsense": "provider_malformed_response",
    }[how]
    more = {"reset": (httpx.ReadError("reset"),), "ended": (), "said": (native.broken,), "nonsense": (nonsense,)}[how]
    async with world(lambda _: native.stream(*begun, *more), **native.env) as client:
        asked = ask(native, stream=True, stream_options={"include_usage": True})
        reply = await client.post(asked)
        *chunks, error = check_stream(reply.body, asked)
        assert chunks
        assert reply.status == 200
        assert (error["error"]["code"], "[DONE]" in reply.body.decode()) == (code, False)
        (outcome,) = client.recorder.outcomes
        assert (outcome.status, outcome.error_code) == ("failed", code)
        assert outcome.bill.tokens.output > 0
        assert outcome.bill.cost_usd


@natives
async def test_a_stream_that_fails_before_its_first_word_is_an_http_error(native: Native) -> None:
    async with world(lambda _: native.stream(native.broken), **native.env) as client:
        reply = await client.post(ask(native, stream=True))
        assert reply.status >= 429
        assert reply.json["error"]["code"] == native.broken_code
        (outcome,) = client.recorder.outcomes
        assert (outcome.status, outcome.bill.tokens) == ("failed", TokenCounts())


ACCOUNT = "123456789012"
LEAK = (
    "Not allowed: {key}, arn:aws:bedrock:us-east-1:123456789012:inference-profile/x, projects/123456789012/models and "
    "https://media.s3.amazonaws.com/a.png?X-Amz-Credential=nobodys-access-key&X-Amz-Signature=nobodys-signature"
)


def failure(native: Native, message: str, status: int) -> dict[str, Any]:
    match native.name:
        case "anthropic":
            return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        case "azure":
            return {"error": {"message": message, "type": "invalid_request_error", "code": None, "param": None}}
        case "bedrock" | "cohere":
            return {"message": message}
        case _:
            return {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}


@natives
@streamed
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_no_failure_tells_a_key_a_signed_url_or_an_account(
    native: Native, stream: bool, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    message = LEAK.format(key=native.key)
    headers = {"retry-after": "7"} if status in (429, 503) else {}
    async with world(
        lambda _: httpx.Response(status, json=failure(native, message, status), headers=headers), **native.env
    ) as client:
        reply = await client.post(ask(native, stream=stream))
        logged = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("tidegate"))
        assert "call.settled" in logged
        for where in (reply.body.decode(), str(reply.headers), logged):
            for secret in (native.key, ACCOUNT, "nobodys-signature", "nobodys-access-key", USER[0]["content"]):
                assert secret not in where
        answered, code = {
            400: (400, "provider_bad_request"),
            401: (502, "provider_auth_error"),
            403: (502, "provider_auth_error"),
            404: (404, "model_not_found"),
            429: (429, "provider_rate_limited"),
            500: (502, "provider_error"),
            503: (503, "provider_overloaded"),
        }[status]
        assert (reply.status, reply.json["error"]["code"]) == (answered, code)
        assert reply.headers.get("retry-after") == ("7" if status in (429, 503) else None)
        assert [outcome.error_code for outcome in client.recorder.outcomes] == [code]


# What cannot be said.

UNSAID = {
    "anthropic": ("logit_bias", {"50256": -100}),
    "azure": ("repetition_penalty", 1.1),
    "bedrock": ("seed", 7),
    "cohere": ("logit_bias", {"50256": -100}),
    "gemini": ("logit_bias", {"50256": -100}),
    "vertex": ("logit_bias", {"50256": -100}),
}


@natives
@streamed
async def test_what_cannot_be_honoured_is_told_or_refused(native: Native, stream: bool) -> None:
    name, value = UNSAID[native.name]
    async with world(handler_of(native), **native.env) as client:
        refused = await client.post(ask(native, stream=stream, require_parameters=True, **{name: value}))
        assert (refused.status, refused.json["error"]["code"]) == (400, "unsupported_parameter")
        assert refused.json["error"]["param"] == name
        assert native.id in refused.json["error"]["message"]
        assert client.requests == []
        told = await client.post(ask(native, stream=stream, **{name: value}))
        assert (told.status, told.headers["x-tidegate-ignored-params"]) == (200, name)
        assert name not in sent(client)
        honoured = await client.post(ask(native, stream=stream, require_parameters=True, max_completion_tokens=64))
        assert (honoured.status, honoured.headers.get("x-tidegate-ignored-params")) == (200, None)


# What is not configured.


MISSING = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_BASE_URL and AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID",
    "cohere": "COHERE_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "vertex": (
        "GOOGLE_VERTEX_PROJECT or GOOGLE_CLOUD_PROJECT and GOOGLE_VERTEX_LOCATION or GOOGLE_CLOUD_LOCATION and "
        "VERTEX_API_KEY or GOOGLE_VERTEX_CREDENTIALS"
    ),
}


@natives
@streamed
async def test_a_provider_that_is_not_configured_names_what_it_needs(native: Native, stream: bool) -> None:
    async with world(handler_of(native), **{}) as client:
        reply = await client.post(ask(native, stream=stream))
        assert (reply.status, reply.json["error"]) == (
            503,
            {
                "message": f"The provider '{native.name}' is not configured: set {MISSING[native.name]}.",
                "type": "server_error",
                "param": "model",
                "code": "provider_not_configured",
            },
        )
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("antropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("gemni/gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("bedrok/amazon.nova-lite-v1:0", "bedrock/amazon.nova-lite-v1:0"),
    ],
)
async def test_a_prefix_that_nobody_has_is_answered_with_the_nearest_names(model: str, near: str) -> None:
    credentials = {**ANTHROPIC.env, **GEMINI.env, **BEDROCK.env}
    async with world(ANTHROPIC.answer, **credentials) as client:
        reply = await client.post({"model": model, "messages": USER})
        assert (reply.status, reply.json["error"]["code"]) == (404, "model_not_found")
        assert near in re.findall(r"[\w./:-]+\w", reply.json["error"]["message"])
