"""Requests in their caller's own dialect: what is sent, and the provider's reply beside its translation."""

import json
from typing import Any

from msgspec.structs import replace

from tests.providers.calls import asking, call
from tests.providers.streams import parsed
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import ReplyChunk
from tidegate.domain.origin import NATIVE, Origin
from tidegate.errors import ProviderFailed
from tidegate.providers.anthropic import PROVIDER
from tidegate.providers.base import StreamEvent
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.native import keep_native_body

MODEL = "claude-sonnet-5"
SENT = {
    "model": "anthropic/claude-sonnet-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": [{"type": "brand_new", "data": 1}]}],
    "unheard_of": {"a": 1},
    "observability": True,
}
TRANSLATOR = ChatTranslator(PROVIDER)


def native_call(origin_body: Any = SENT, **fields: Any) -> ChatCall:
    chat_call = call(asking(max_tokens=100, **fields))
    origin = Origin("messages", origin_body, {"anthropic-beta": "new-2030-01-01"})
    return replace(chat_call, request=replace(chat_call.request, origin=origin))


def deployment() -> Deployment:
    return Deployment("anthropic", MODEL, "https://host.invalid")


def test_the_callers_body_and_headers_go_on_with_the_models_own_name() -> None:
    request = TRANSLATOR.build_request(native_call(), deployment())
    expected = {name: value for name, value in SENT.items() if name != "observability"} | {"model": MODEL}
    assert (json.loads(request.body), request.is_native, request.dialect) == (expected, True, "messages")
    assert request.headers["anthropic-beta"] == "new-2030-01-01"
    assert (request.url, request.ignored) == ("https://host.invalid/v1/messages", ())


def test_a_shortened_answer_has_its_limit() -> None:
    chat_call = native_call()
    shorter = replace(chat_call, request=chat_call.request.with_output_limit(7))
    assert json.loads(TRANSLATOR.build_request(shorter, deployment()).body)["max_tokens"] == 7


def test_what_would_cost_more_than_is_held_is_translated_without_it() -> None:
    request = TRANSLATOR.build_request(native_call(speed="fast"), deployment())
    assert (request.is_native, request.ignored) == (False, ("speed",))


def test_a_changed_request_is_translated() -> None:
    assert not TRANSLATOR.build_request(native_call(None), deployment()).is_native


def test_a_whole_reply_has_the_providers_own_one() -> None:
    request = TRANSLATOR.build_request(native_call(), deployment())
    body: Any = {
        "type": "message",
        "content": [{"type": "text", "text": "Hello"}, {"type": "brand_new"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    reply: Any = TRANSLATOR.parse_reply(request, body)
    assert reply[NATIVE] == body
    assert (reply["choices"][0]["message"]["content"], reply["usage"]["completion_tokens"]) == ("Hello", 4)


async def test_every_event_is_in_one_chunk_that_has_choices() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1}
    parts: list[list[dict[str, Any]]] = [
        [{"type": "message_start", "message": {"usage": usage}}, {"type": "ping"}],
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "brand_new"}}],
        [{"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}],
        [{"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}}],
        [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}],
        [{"type": "message_stop"}],
    ]
    events = [[StreamEvent(event["type"], json.dumps(event)) for event in part] for part in parts]
    request = TRANSLATOR.build_request(native_call(stream=True), deployment())
    chunks: list[ReplyChunk] = []
    for batch in parsed(TRANSLATOR.open_stream(request), events):
        chunks += batch
    native: list[Any] = [chunk for chunk in chunks if NATIVE in chunk]
    expected = [(event.type, event.data) for part in events for event in part]
    assert [event for chunk in native for event in chunk[NATIVE]] == expected
    assert all(chunk["choices"] for chunk in native)


def test_an_error_that_is_nested_too_deeply_to_mask_is_the_gateways() -> None:
    body: Any = {"error": {}}
    for _ in range(5_000):
        body = {"error": body}
    error = ProviderFailed("failed")
    keep_native_body(error, body)
    assert error.native_body is None
