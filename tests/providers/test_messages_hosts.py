"""Requests of the Messages API to other hosts of Claude, and to providers that serve this API beside OpenAI's."""

import base64
import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC, BEDROCK, Native, Pieces
from tests.providers.calls import asking, call
from tests.upstream.frames import event, exception
from tests.world import Reply, world
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.domain.origin import Origin
from tidegate.providers import Registry
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.compatible import ROWS

PATH = "/v1/messages?beta=true"
BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "advanced-tool-use-2025-11-20,brand-new-2030-01-01"
)
TOOL = {
    "name": "get",
    "input_schema": {"type": "object"},
    "defer_loading": True,
    "eager_input_streaming": True,
    "strict": True,
    "brand_new": 1,
}
SENT: dict[str, Any] = {
    "model": "x",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
    "context_management": {"edits": []},
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "high"},
    "tools": [TOOL],
    "unheard_of": {"a": 1},
}


def native_call(betas: str = BETAS, **fields: Any) -> ChatCall:
    chat_call = call(asking(max_tokens=100, **({"stream": True} if fields.get("stream") else {})))
    origin = Origin("messages", {**SENT, **fields}, {"anthropic-beta": betas} if betas else {})
    return replace(chat_call, request=replace(chat_call.request, origin=origin))


def built(provider: str, model: str, chat_call: ChatCall, base_url: str = "https://host.invalid") -> UpstreamRequest:
    translator = ChatTranslator(Registry().load(provider))
    return translator.build_request(chat_call, Deployment(provider, model, base_url, region="us-east-1"))


def test_bedrock_gets_what_it_takes_and_the_rest_is_named() -> None:
    request = built("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", native_call(stream=True))
    body = json.loads(request.body)
    assert request.url.endswith("/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream")
    assert body == {
        **{name: value for name, value in SENT.items() if name not in ("model", "tools")},
        "tools": [{name: value for name, value in TOOL.items() if name not in ("eager_input_streaming", "strict")}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": [
            "context-management-2025-06-27",
            "tool-search-tool-2025-10-19",
            "tool-examples-2025-10-29",
            "brand-new-2030-01-01",
        ],
    }
    assert request.ignored == (
        "anthropic-beta.claude-code-20250219",
        "anthropic-beta.interleaved-thinking-2025-05-14",
        "tools[0].eager_input_streaming",
        "tools[0].strict",
    )
    assert "anthropic-beta" not in request.headers


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
def test_a_field_without_its_beta_is_left_out(provider: str) -> None:
    request = built(provider, "anthropic.claude-sonnet-4-5", native_call(betas=""))
    body = json.loads(request.body)
    assert "context_management" not in body
    assert body["tools"] == [{"name": "get", "input_schema": {"type": "object"}, "brand_new": 1}]
    assert {"context_management", "tools[0].defer_loading"} <= set(request.ignored)


def test_vertex_gets_the_body_in_googles_path_with_the_betas_in_a_header() -> None:
    request = built("vertex", "claude-sonnet-4-5@20250929", native_call(stream=True))
    body = json.loads(request.body)
    assert request.url == (
        "https://host.invalid/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    )
    assert (body["anthropic_version"], body["stream"], "model" in body) == ("vertex-2023-10-16", True, False)
    assert request.headers["anthropic-beta"].split(",")[0] == "interleaved-thinking-2025-05-14"
    assert request.is_native


def test_a_chat_call_reaches_claude_on_vertex_in_its_dialect() -> None:
    request = built("vertex", "claude-sonnet-4-5", call(asking(max_tokens=7)))
    body = json.loads(request.body)
    assert request.url == "https://host.invalid/publishers/anthropic/models/claude-sonnet-4-5:rawPredict"
    assert (request.dialect, request.is_native, body["max_tokens"]) == ("messages", False, 7)
    assert (body["anthropic_version"], "model" in body) == ("vertex-2023-10-16", False)


@pytest.mark.parametrize(("provider", "model"), [("bedrock", "amazon.nova-pro-v1:0"), ("vertex", "gemini-2.5-flash")])
def test_models_of_other_makers_are_translated(provider: str, model: str) -> None:
    assert not built(provider, model, native_call()).is_native


@pytest.mark.parametrize(
    ("provider", "model", "url", "header"),
    [
        ("deepseek", "deepseek-chat", "https://api.deepseek.com/anthropic/v1/messages", "x-api-key"),
        ("moonshot", "kimi-k3", "https://api.moonshot.ai/anthropic/v1/messages", "authorization"),
        ("zai", "glm-5", "https://api.z.ai/api/anthropic/v1/messages", "authorization"),
        ("openrouter", "anthropic/claude-sonnet-5", "https://openrouter.ai/api/v1/messages", "authorization"),
    ],
)
def test_providers_that_serve_this_api_get_the_callers_body(provider: str, model: str, url: str, header: str) -> None:
    request = built(provider, model, native_call(), str(ROWS[provider].base_url))
    assert (request.url, request.is_native, json.loads(request.body)) == (url, True, {**SENT, "model": model})
    assert request.auth is not None and request.auth.header_of("k")[0] == header
    assert not built(provider, model, native_call(), "https://proxy.invalid/v1").is_native


def claude(request: httpx.Request) -> httpx.Response:
    """Bedrock's InvokeModel: Anthropic's reply, or its events in frames."""
    if request.url.path.endswith("/invoke"):
        return httpx.Response(200, json=ANTHROPIC.plain)
    return httpx.Response(200, headers={"content-type": BEDROCK.kind}, stream=Pieces(frames()))


def frames(*more: bytes) -> tuple[bytes, ...]:
    events = [piece.partition(b"data: ")[2].strip() for piece in ANTHROPIC.pieces]
    framed = [event("chunk", {"bytes": base64.b64encode(data).decode()}) for data in events]
    return (*framed[:3], *more) if more else tuple(framed)


CALL = {"model": f"bedrock/anthropic.{ANTHROPIC.model}-v1:0", "max_tokens": 50, "messages": SENT["messages"]}


async def asked(provider: Native, handler: Any, **fields: Any) -> tuple[Reply, Any]:
    async with world(handler, **provider.env) as client:
        reply = await client.post({**CALL, **fields}, PATH)
        return reply, client.recorder.outcomes[0]


async def test_a_reply_of_bedrocks_goes_out_as_it_is_and_is_billed() -> None:
    reply, outcome = await asked(BEDROCK, claude)
    assert (reply.status, reply.json) == (200, {**ANTHROPIC.plain, "model": CALL["model"]})
    assert (outcome.bill.tokens.input, outcome.bill.tokens.output, outcome.bill.tokens.cached) == (100, 12, 40)


async def test_a_stream_of_bedrocks_goes_out_as_anthropics_events() -> None:
    reply, outcome = await asked(BEDROCK, claude, stream=True)
    assert reply.body.endswith(b"".join(ANTHROPIC.pieces[1:]))
    assert (outcome.status, outcome.bill.tokens.output) == ("ok", 12)


async def test_an_exception_in_bedrocks_stream_ends_it_with_an_error_event() -> None:
    broken = exception("throttlingException", {"message": "Too many requests"})
    stream = Pieces(frames(broken))
    reply, outcome = await asked(BEDROCK, lambda _: httpx.Response(200, stream=stream), stream=True)
    assert b"".join(ANTHROPIC.pieces[1:3]) in reply.body
    assert b"event: error" in reply.body and b"message_stop" not in reply.body
    assert outcome.status == "failed"
