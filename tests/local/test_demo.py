"""The demo provider, through the whole path of a call."""

import asyncio
from typing import Any

from tests.api.world import Client, Exchange, Recorder
from tidegate.api.app import build_app
from tidegate.domain.options import Options
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.embedded import DEMO_KEY, seed, settings_for
from tidegate.memory.compose import compose
from tidegate.upstream.transport import Transport


def call(**fields: Any) -> Any:
    async def main() -> Any:
        def quick(inner: Transport) -> Transport:
            return DemoTransport(inner, pause_seconds=0)

        settings = settings_for({}, None)
        recorder = Recorder()
        app: Any = build_app(lambda: compose(settings, (DEMO_ROW,), quick, seed, recorder), Options())
        async with app.router.lifespan_context(app) as state:
            app.lifespan_state = state
            headers = {"authorization": f"Bearer {DEMO_KEY}"}
            body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello, calm sea."}], **fields}
            exchange = Exchange(Client(app, recorder, []).app, body, "/v1/chat/completions", headers)
            await exchange.run()
            return exchange.reply()

    return asyncio.run(main())


def test_it_says_what_it_hears_and_costs_nothing() -> None:
    body = call().json
    assert body["choices"][0]["message"]["content"] == "Hello, calm sea."
    assert (body["usage"]["completion_tokens"], body["usage"]["cost"]) == (3, 0.0)


def test_it_streams_word_by_word() -> None:
    *chunks, done = call(stream=True).events
    words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert (words, done) == (["", "Hello, ", "calm ", "sea.", None], "[DONE]")


def test_it_stops_at_the_limit() -> None:
    choice = call(max_tokens=2).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello, calm ", "length")


def test_it_hears_the_text_of_parts() -> None:
    parts = [{"type": "text", "text": "One"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    assert call(messages=[{"role": "user", "content": parts}]).json["choices"][0]["message"]["content"] == "One"
