"""Headers that repeat what a caller or a provider has written have a bounded size: all fit into 10,240 bytes."""

from typing import Any

import httpx
import pytest

from tests.world import USER, world
from tidegate.api.reply import MAX_HEADER_LIST_BYTES, header_list
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.workspace import Workspace

WHOLE: dict[str, Any] = {
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
API_GATEWAY_BYTES = 10_240


def size(headers: dict[str, str]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.items())


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ([], b""),
        (["a", "b"], b"a,b"),
        (["x" * 500], b"x" * 297 + b"..."),
        (["é", "a\nb"], b"?,a?b"),
    ],
)
def test_a_short_list_is_whole(items: list[str], value: bytes) -> None:
    assert header_list(items, ",") == value


@pytest.mark.parametrize("separator", [",", ", "])
def test_what_does_not_fit_is_counted(separator: str) -> None:
    items = [f"messages[{index}].name" for index in range(900)]
    value = header_list(items, separator).decode()
    *shown, rest = value.split(separator)
    assert shown == items[: len(shown)]
    assert rest == f"and {900 - len(shown)} more"
    assert MAX_HEADER_LIST_BYTES - 50 < len(value) <= MAX_HEADER_LIST_BYTES


@pytest.mark.parametrize("stream", [False, True])
async def test_a_long_group_chat_has_short_headers(stream: bool) -> None:
    messages = [{"role": "user", "name": f"user_{index % 7}", "content": f"m{index}"} for index in range(900)]
    body = {"model": "anthropic/claude-sonnet-4-5", "messages": messages, "stream": stream}
    async with world(WHOLE, ANTHROPIC_API_KEY="not-a-key") as client:
        reply = await client.post(body)
        assert (reply.status, len(client.requests)) == (200, 1)
        assert reply.headers["x-tidegate-ignored-params"].endswith(" more")
        assert size(reply.headers) < API_GATEWAY_BYTES


async def test_long_names_of_fields_and_many_failures_have_short_headers() -> None:
    models = [f"openai/{'m' * 240}{index}" for index in range(16)]
    body = {"model": models[0], "messages": USER, "models": models[1:], "num_retries": 5}
    async with world(lambda _: httpx.Response(503, json={"error": {"message": "busy"}})) as client:
        reply = await client.post({**body, "z" * 5000: 1})
        assert reply.status == 503
        assert reply.headers["x-tidegate-failed-attempts"].endswith(" more")
        assert size(reply.headers) < API_GATEWAY_BYTES


async def test_many_guardrails_have_short_headers() -> None:
    guardrails = tuple(
        Guardrail(name=f"guardrail-{index:03}-{'g' * 40}", kind="words", words=("Seahorse",), always=True)
        for index in range(100)
    )
    workspace = Workspace("ws_test", "Test", guardrails=guardrails)
    async with world(workspace=workspace) as client:
        reply = await client.post({"model": "openai/gpt-4.1-mini", "messages": USER})
        assert reply.status == 200
        assert reply.headers["x-tidegate-guardrails"].endswith(" more")
        assert size(reply.headers) < API_GATEWAY_BYTES
