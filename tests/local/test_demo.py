"""The demo provider, through the whole path of a call."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Client, Exchange, Recorder
from tidegate.api.app import build_app
from tidegate.catalog import load_catalog
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo.answers import MODELS
from tidegate.local.demo.texts import ANSWERS
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.stores import local_settings
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.transport.base import Transport

DEMO_KEY = "sk-tidegate-demo"


async def call(pause_seconds: float = 0, /, **fields: Any) -> Any:
    def quick(inner: Transport) -> Transport:
        return DemoTransport(inner, pause_seconds)

    async def seed(tenants: Tenants, keys: Keys) -> None:
        await seed_demo_tenant(tenants, keys, DEMO_KEY)

    settings = local_settings({}, None)
    recorder = Recorder()
    overrides = Overrides(rows=(DEMO_ROW,), wrap=quick, meter=recorder)
    app: Any = build_app(lambda: open_memory_gateway(settings, overrides, seed=seed), ServerOptions())
    async with app.lifespan() as state:
        app.lifespan_state = state
        headers = {"authorization": f"Bearer {DEMO_KEY}"}
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello, calm sea."}], **fields}
        exchange = Exchange(Client(app, recorder, []).app, body, "/v1/chat/completions", headers)
        await exchange.run()
        return exchange.reply()


async def test_it_says_what_it_hears_and_costs_nothing() -> None:
    body = (await call()).json
    assert body["choices"][0]["message"]["content"] == "Hello, calm sea."
    assert (body["usage"]["completion_tokens"], body["usage"]["cost"]) == (3, 0.0)


async def test_it_streams_word_by_word() -> None:
    *chunks, done = (await call(stream=True)).events
    words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert (words, done) == (["", "Hello, ", "calm ", "sea.", None], "[DONE]")


async def test_it_stops_at_the_limit() -> None:
    choice = (await call(max_tokens=2)).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello, calm ", "length")


async def test_it_hears_the_text_of_parts() -> None:
    parts = [{"type": "text", "text": "One"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    assert (await call(messages=[{"role": "user", "content": parts}])).json["choices"][0]["message"]["content"] == "One"


TOOL = {"type": "function", "function": {"name": "f"}}
ASKED = [
    ({"n": 2}, "n"),
    ({"n": 1, "temperature": 1, "logprobs": False, "tool_choice": "auto", "response_format": {"type": "text"}}, None),
    ({"logprobs": True, "top_logprobs": 2}, "logprobs,top_logprobs"),
    ({"stop": "calm"}, "stop"),
    ({"seed": 7, "temperature": 0.2}, "seed,temperature"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"structured_outputs": {"json": {"type": "object"}}}, "structured_outputs"),
    ({"tools": [TOOL]}, "tools"),
    ({"tools": [TOOL], "tool_choice": "none"}, None),
    ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice,tools"),
    ({"functions": [TOOL["function"]]}, "functions"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"reasoning_effort": "none"}, None),
    ({"max_tokens": 5, "stream": True, "stream_options": {"include_usage": True}}, None),
]


@pytest.mark.parametrize(("fields", "ignored"), ASKED)
async def test_it_reports_what_it_cannot_do(fields: dict[str, Any], ignored: str | None) -> None:
    assert (await call(**fields)).headers.get("x-tidegate-ignored-params") == ignored
    strict = await call(**fields, require_parameters=True)
    assert strict.status == (200 if ignored is None else 400)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time"}}


def joined(events: list[Any], read: Callable[[Any], Any]) -> str:
    deltas = [choice["delta"] for event in events if event != "[DONE]" for choice in event["choices"]]
    return "".join(read(delta) or "" for delta in deltas)


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called_and_their_results_answered(stream: bool) -> None:
    fields = {"model": "demo/tools", "tools": [WEATHER, CLOCK], "stream": stream}
    reply = await call(**fields)
    if stream:
        text = joined(
            reply.events, lambda delta: (delta.get("tool_calls") or [{"function": {}}])[0]["function"].get("arguments")
        )
        names = joined(
            reply.events, lambda delta: (delta.get("tool_calls") or [{"function": {}}])[0]["function"].get("name")
        )
        reasons = [choice["finish_reason"] for event in reply.events[:-1] for choice in event["choices"]]
        assert (names, reasons[-1]) == ("get_weather", "tool_calls")
    else:
        choice = reply.json["choices"][0]
        (tool_call,) = choice["message"]["tool_calls"]
        text = tool_call["function"]["arguments"]
        assert (tool_call["function"]["name"], choice["finish_reason"]) == ("get_weather", "tool_calls")
    assert json.loads(text) == {"city": "Hamburg", "unit": "celsius"}
    assert "x-tidegate-ignored-params" not in reply.headers


async def test_a_tools_result_is_answered_with_text() -> None:
    function = {"name": "get_weather", "arguments": "{}"}
    messages = [
        {"role": "user", "content": "What is the weather?"},
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees, rain"},
    ]
    choice = (await call(model="demo/tools", tools=[WEATHER], messages=messages)).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("The tool answered: 12 degrees, rain", "stop")


async def test_the_tool_choice_is_honoured() -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    message = (await call(model="demo/tools", tools=[WEATHER, CLOCK], tool_choice=named)).json["choices"][0]["message"]
    assert [each["function"] for each in message["tool_calls"]] == [{"name": "get_time", "arguments": "{}"}]
    for fields in ({}, {"tools": [WEATHER], "tool_choice": "none"}):
        message = (await call(model="demo/tools", **fields)).json["choices"][0]["message"]
        assert message["content"].startswith("I have no tools") and not message.get("tool_calls")


SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}, "year": {"type": "integer", "minimum": 1900}}}


@pytest.mark.parametrize("stream", [False, True])
async def test_json_fits_the_schema(stream: bool) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "film", "schema": SCHEMA, "strict": True}}
    reply = await call(model="demo/json", response_format=response_format, stream=stream, require_parameters=True)
    if stream:
        text = joined(reply.events, lambda delta: delta.get("content"))
    else:
        text = reply.json["choices"][0]["message"]["content"]
    assert json.loads(text) == {"title": "example", "year": 1900}


@pytest.mark.parametrize("fields", [{"response_format": {"type": "json_object"}}, {}])
async def test_json_without_a_schema_is_an_object(fields: dict[str, Any]) -> None:
    content = (await call(model="demo/json", **fields)).json["choices"][0]["message"]["content"]
    assert json.loads(content) == {"answer": "Hello, calm sea."}


async def test_vision_tells_kind_and_size() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0").decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    reply = await call(model="demo/vision", messages=[{"role": "user", "content": parts}])
    assert reply.json["choices"][0]["message"]["content"] == "I see an image: PNG, 640 × 480 pixels, 24 bytes."
    assert (await call(model="demo/vision")).json["choices"][0]["message"]["content"].startswith("I see no image")


async def test_reasoning_comes_before_the_text_and_is_counted() -> None:
    reply = (await call(model="demo/reasoning")).json
    message, usage = reply["choices"][0]["message"], reply["usage"]
    assert message["content"] == "Hello, calm sea."
    tokens = len(message["reasoning"].split())
    assert usage["completion_tokens_details"]["reasoning_tokens"] == tokens > 0
    assert usage["completion_tokens"] == tokens + 3
    brief = (await call(model="demo/reasoning", reasoning_effort="low", require_parameters=True)).json
    assert 0 < len(brief["choices"][0]["message"]["reasoning"].split()) < tokens
    none = (await call(model="demo/reasoning", reasoning_effort="none")).json
    assert "reasoning" not in none["choices"][0]["message"]
    deltas = [
        choice["delta"]
        for event in (await call(model="demo/reasoning", stream=True)).events[:-1]
        for choice in event["choices"]
    ]
    kinds = [
        "reasoning" if delta.get("reasoning") else "content"
        for delta in deltas
        if delta.get("reasoning") or delta.get("content")
    ]
    assert kinds == ["reasoning"] * tokens + ["content"] * 3


FAULTS = [
    ("demo/error-400", 400, "provider_bad_request"),
    ("demo/error-401", 502, "provider_auth_error"),
    ("demo/error-429", 429, "provider_rate_limited"),
    ("demo/error-500", 502, "provider_error"),
    ("demo/error-503", 503, "provider_overloaded"),
    ("demo/timeouts", 504, "provider_timeout"),
    ("demo/unknown", 404, "model_not_found"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "status", "code"), FAULTS)
async def test_faults_are_those_of_their_names(model: str, status: int, code: str, stream: bool) -> None:
    reply = await call(model=model, stream=stream, num_retries=0)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    if status == 429:
        assert reply.headers["retry-after"] == "1"


async def test_a_cut_stream_ends_with_an_error() -> None:
    *chunks, last = (await call(model="demo/cut", stream=True)).events
    assert joined(chunks, lambda delta: delta.get("content")) == "Hello, "
    assert last["error"]["code"] == "provider_stream_cut"
    assert (await call(model="demo/cut", num_retries=0)).status == 502


@pytest.mark.jumping_clock
@pytest.mark.parametrize("stream", [False, True])
async def test_slow_answers_take_seconds_and_keep_the_timeout(stream: bool) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await call(0.02, model="demo/slow", stream=stream)).status == 200
    assert 3 <= loop.time() - start < 6
    reply = await call(0.02, model="demo/slow", stream=stream, timeout=2, num_retries=0)
    assert (reply.status, reply.json["error"]["code"]) == (504, "provider_timeout")


def test_every_model_is_in_the_catalogue_and_free() -> None:
    listed = {model.id: model for model in load_catalog() if model.provider == "demo"}
    assert {*listed} == {
        f"demo/{name}"
        for name in (
            *MODELS,
            *(model for models in ANSWERS.values() for model in models),
            *(f"error-{status}" for status in (400, 401, 429, 500, 503)),
        )
    }
    assert {(model.prices[0].input, model.prices[0].output) for model in listed.values()} == {(0, 0)}
