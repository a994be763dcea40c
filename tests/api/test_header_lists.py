"""Headers that repeat what a caller or a provider has written have a bounded size: all fit into 10,240 bytes."""

from typing import Any

import httpx
import pytest

from tests.world import USER, world
from tidegate.api.head import answer_lines
from tidegate.api.reply import MAX_HEADER_LIST_BYTES, header_list, header_pairs
from tidegate.domain.account import RateStatus
from tidegate.domain.deployment import Deployment
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.workspace import Workspace
from tidegate.pipeline.answer import Answer
from tidegate.policy.metering.reservation import Headroom

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


HOSTILE = "a\r\nset-cookie: b\n\0\u2028é"


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_no_value_of_an_answer_begins_another_line(attempts: int) -> None:
    deployment = Deployment(f"p{HOSTILE}", f"m{HOSTILE}", "https://a.example", label=f"l{HOSTILE}")
    failed: Any = (f"f{HOSTILE}", "b")
    headroom = Headroom({"requests": RateStatus(10, 9, 0.25), "tokens": RateStatus(1000, 900, 1.5)}, 77)
    answer: Any = Answer(
        None, None, deployment, attempts, failed, (HOSTILE,), 0.0, headroom=headroom, headers=(("x-cache", HOSTILE),)
    )
    lines = answer_lines(answer, 0.0)
    pairs = header_pairs(lines)
    shown = b"a??set-cookie: b????"
    kept = {name: value for name, value in pairs if name != b"x-tidegate-overhead-ms"}
    assert lines.translate(None, bytes(range(32))) == b"".join(b"%b: %b" % pair for pair in pairs)
    assert kept == {
        b"x-tidegate-provider": b"p" + shown,
        b"x-tidegate-model": b"p%b/m%b" % (shown, shown),
        **({b"x-tidegate-attempts": b"%d" % attempts} if attempts else {}),
        b"x-tidegate-failed-attempts": b"f%b, b" % shown,
        b"x-tidegate-deployment": b"l" + shown,
        b"x-tidegate-ignored-params": shown,
        b"x-cache": shown,
        b"x-ratelimit-limit-requests": b"10",
        b"x-ratelimit-remaining-requests": b"9",
        b"x-ratelimit-reset-requests": b"0.250s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"900",
        b"x-ratelimit-reset-tokens": b"1.500s",
        b"x-tidegate-max-tokens": b"77",
    }
