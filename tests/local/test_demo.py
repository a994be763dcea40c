"""The demo provider, through the whole path of a call."""

from typing import Any

import pytest

from tests.world import Client, Exchange, Recorder
from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.stores import local_settings
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.transport.base import Transport

DEMO_KEY = "sk-tidegate-demo"


async def call(**fields: Any) -> Any:
    def quick(inner: Transport) -> Transport:
        return DemoTransport(inner, pause_seconds=0)

    async def seed(tenants: Tenants, keys: Keys) -> None:
        await seed_demo_tenant(tenants, keys, DEMO_KEY)

    settings = local_settings({}, None)
    recorder = Recorder()
    overrides = Overrides(rows=(DEMO_ROW,), wrap=quick, meter=recorder)
    app: Any = build_app(lambda: open_memory_gateway(settings, overrides, seed=seed), ServerOptions())
    async with app.router.lifespan_context(app) as state:
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
