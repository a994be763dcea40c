"""Calls of the Messages API over HTTP: answers, streams, errors and headers."""

import json
from typing import Any

import httpx
import pytest

from tests.native_providers import ANTHROPIC, sse
from tests.world import Reply, answers, completion, delta, streams, world
from tidegate.domain.limits import Limits
from tidegate.domain.server_options import ServerOptions

PATH = "/v1/messages?beta=true"
NATIVE: dict[str, Any] = {
    "model": ANTHROPIC.id,
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hi"}],
}
TRANSLATED = {**NATIVE, "model": "openai/gpt-4.1-mini"}


def events(reply: Reply) -> list[tuple[str, Any]]:
    parts = [part.split("\ndata: ") for part in reply.body.decode().split("\n\n") if part]
    return [(head.removeprefix("event: "), json.loads(data)) for head, data in parts]


def native_events(model: str) -> list[Any]:
    """Anthropic's events, with the caller's name for the model: Claude Code drops thinking of another one."""
    found = [json.loads(piece.partition(b"data: ")[2]) for piece in ANTHROPIC.pieces]
    return [{**found[0], "message": {**found[0]["message"], "model": model}}, *found[1:]]


async def test_a_reply_of_anthropics_goes_out_as_it_is() -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        reply = await client.post(NATIVE, PATH, {"anthropic-beta": "new-2030-01-01", "anthropic-version": "2023-06-01"})
    assert (reply.status, reply.json) == (200, {**ANTHROPIC.plain, "model": ANTHROPIC.id})
    assert (reply.headers["request-id"], reply.headers["content-type"]) == (
        reply.headers["x-request-id"],
        "application/json",
    )
    assert client.requests[0].headers["anthropic-beta"] == "new-2030-01-01"
    assert json.loads(client.requests[0].content) == {**NATIVE, "model": ANTHROPIC.model}
    outcome = client.recorder.outcomes[0]
    assert (float(outcome.bill.cost_usd or 0) * 1e6, outcome.status) == (pytest.approx(ANTHROPIC.cost), "ok")


async def test_a_stream_of_anthropics_goes_out_as_it_is() -> None:
    pieces = ANTHROPIC.pieces
    async with world(lambda _: ANTHROPIC.stream(*pieces), **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, "stream": True}, PATH)
    assert [data for _, data in events(reply)] == native_events(ANTHROPIC.id)
    assert reply.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_whose_server_leaves_out_the_stop_has_one() -> None:
    async with world(lambda _: ANTHROPIC.stream(*ANTHROPIC.pieces[:-1]), **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, "stream": True}, PATH)
    assert [data for _, data in events(reply)] == native_events(ANTHROPIC.id)
    assert client.recorder.outcomes[0].status == "ok"


@pytest.mark.parametrize("status", [400, 413, 422, 429, 500, 529])
async def test_an_error_of_anthropics_goes_out_with_its_status_and_words(status: int) -> None:
    body = {"type": "error", "error": {"type": "x", "message": "messages.3.content.0: Invalid `signature`"}, "new": 1}
    async with world(answers(body, status, {"retry-after": "7"}), **ANTHROPIC.env) as client:
        reply = await client.post(NATIVE, PATH)
    assert (reply.status, reply.json) == (status, body)


@pytest.mark.parametrize("status", [401, 403])
async def test_an_error_about_the_gateways_credentials_is_the_gateways(status: int) -> None:
    body = {
        "type": "error",
        "error": {"type": "authentication_error", "message": "invalid x-api-key not-a-key-anthropic"},
    }
    async with world(answers(body, status), **ANTHROPIC.env) as client:
        reply = await client.post(NATIVE, PATH)
    assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
    assert "not-a-key" not in reply.body.decode()


async def test_a_key_in_an_error_is_masked() -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "bad header not-a-key-anthropic"}}
    async with world(answers(body, 400), **ANTHROPIC.env) as client:
        reply = await client.post(NATIVE, PATH)
    assert reply.json["error"]["message"] == "bad header ***"


@pytest.mark.parametrize("named", [True, False])
async def test_an_error_in_the_middle_of_a_stream_goes_out_once_as_it_is(named: bool) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded", "new": 1}}
    pieces = (*ANTHROPIC.pieces[:3], sse(error, "error" if named else None))
    async with world(lambda _: ANTHROPIC.stream(b"".join(pieces)), **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, "stream": True}, PATH)
    assert [kind for kind, _ in events(reply)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "error",
    ]
    assert events(reply)[-1][1] == error
    assert client.recorder.outcomes[0].status == "failed"


async def test_a_stream_that_breaks_off_ends_with_an_error_event_alone() -> None:
    pieces = (*ANTHROPIC.pieces[:3], httpx.ReadError("gone"))
    async with world(lambda _: ANTHROPIC.stream(*pieces), **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, "stream": True}, PATH)
    kind, data = events(reply)[-1]
    assert (kind, data["error"]["type"]) == ("error", "api_error")


async def test_an_overloaded_provider_of_another_dialect_is_529() -> None:
    async with world(answers({"error": {"message": "busy"}}, 503)) as client:
        reply = await client.post({**TRANSLATED, "num_retries": 0}, PATH)
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (529, "error", "overloaded_error")
    assert reply.json["request_id"] == reply.headers["request-id"]


async def test_a_prompt_that_is_too_long_for_its_model_is_said_in_anthropics_words() -> None:
    """Claude Code compacts the conversation at these words alone."""
    message = "This model's maximum context length is 128000 tokens."
    error = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
    async with world(answers({"error": error}, 400)) as client:
        replies = [await client.post({**TRANSLATED, "stream": stream}, PATH) for stream in (False, True)]
    said = {"type": "invalid_request_error", "message": f"prompt is too long: {message}"}
    assert [(reply.status, reply.json["error"]) for reply in replies] == [(400, said)] * 2


HEAD = "This model's maximum context length is"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            f"{HEAD} 8192 tokens. However, you requested 9000 tokens (5000 in the messages, 4000 in the completion).",
            "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192 (",
        ),
        (
            f"'max_tokens' or 'max_completion_tokens' is too large: 4000. {HEAD} 8192 tokens and your request has "
            "5000 input tokens (4000 > 8192 - 5000).",
            "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192 (",
        ),
        (
            f"{HEAD} 8192 tokens. However, you requested 13000 tokens (9000 in the messages, 4000 in the completion).",
            "prompt is too long: 9000 tokens > 8192 maximum (",
        ),
        (
            f"{HEAD} 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce their length.",
            "prompt is too long: 9000 tokens > 8192 maximum (",
        ),
        (
            f"{HEAD} 8192 tokens. However, your request has 9000 input tokens.",
            "prompt is too long: 9000 tokens > 8192 maximum (",
        ),
    ],
)
async def test_the_counts_of_a_prompt_that_is_too_long_are_said_as_anthropic_says_them(
    said: str, expected: str
) -> None:
    error = {"message": said, "type": "invalid_request_error", "code": "context_length_exceeded"}
    async with world(answers({"error": error}, 400)) as client:
        reply = await client.post(TRANSLATED, PATH)
    assert reply.json["error"]["message"] == f"{expected}{said})"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("prompt is too long: 205000 tokens > 200000 maximum", "prompt is too long: 205000 tokens > 200000 maximum"),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 2", "input length and `max_tokens` exceed "),
        ("Input is too long for requested model.", "prompt is too long: Input is too long for requested model."),
    ],
)
async def test_so_is_one_at_a_provider_of_anthropics_dialect(said: str, expected: str) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    async with world(answers(error, 400), **ANTHROPIC.env) as client:
        reply = await client.post(NATIVE, PATH)
    assert reply.status == 400 and reply.json["error"]["message"].startswith(expected)


async def test_a_reached_budget_names_the_gateway_and_says_when_it_resets() -> None:
    async with world(limits=Limits(tokens_per_month=1)) as client:
        reply = await client.post(TRANSLATED, PATH)
    message = reply.json["error"]["message"]
    assert (reply.status, reply.headers["x-should-retry"], reply.json["error"]["type"]) == (
        429,
        "false",
        "rate_limit_error",
    )
    assert message.startswith("Tidegate: This workspace's limit tokens_per_month of 1 ") and "resets at" in message


async def test_a_wrong_key_is_refused_in_anthropics_envelope() -> None:
    async with world() as client:
        reply = await client.post(TRANSLATED, PATH, {"authorization": "", "x-api-key": "sk-wrong"})
    assert (reply.status, reply.json["error"]["type"]) == (401, "authentication_error")
    assert reply.headers["request-id"] == reply.json["request_id"]


async def test_a_body_of_30_mb_is_refused_in_anthropics_envelope() -> None:
    async with world(options=ServerOptions(max_body_bytes=10_000_000)) as client:
        reply = await client.post(b'{"model": "' + b"x" * 30_000_000 + b'"}', PATH)
    assert (reply.status, reply.json["error"]["type"]) == (413, "request_too_large")


async def test_a_translated_stream_ends_with_its_usage_and_without_a_done() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}}
    async with world(streams(delta(""), delta("Create "), delta(finish="stop"), usage, "[DONE]")) as client:
        reply = await client.post({**TRANSLATED, "stream": True}, PATH)
    found = events(reply)
    assert [kind for kind, _ in found] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[-2][1]["usage"]["output_tokens"] == 12
    assert found[0][1]["message"]["model"] == "openai/gpt-4.1-mini"


async def test_a_reply_of_the_cache_comes_in_this_dialect_also_for_another_dialects_call() -> None:
    chat = {"model": "openai/gpt-4.1-mini", "messages": NATIVE["messages"], "max_tokens": 50, "caching": True}
    async with world(completion("Stored.")) as client:
        await client.post(chat)
        whole = await client.post({**TRANSLATED, "caching": True}, PATH)
        streamed = await client.post({**TRANSLATED, "caching": True, "stream": True}, PATH)
    assert len(client.requests) == 1
    assert whole.json["content"] == [{"type": "text", "text": "Stored."}]
    assert (whole.json["type"], whole.headers["x-tidegate-cache"]) == ("message", "hit")
    assert (
        "".join(data["delta"].get("text", "") for kind, data in events(streamed) if "block_delta" in kind) == "Stored."
    )


async def test_an_idempotent_native_call_is_replayed_in_this_dialect() -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        first = await client.post(NATIVE, PATH, {"idempotency-key": "k1"})
        second = await client.post(NATIVE, PATH, {"idempotency-key": "k1"})
    assert (len(client.requests), second.headers["idempotent-replayed"]) == (1, "true")
    assert (first.json["content"], first.json["stop_reason"]) == (second.json["content"], second.json["stop_reason"])


async def test_a_dry_run_reports_and_asks_nobody() -> None:
    async with world() as client:
        reply = await client.post({**TRANSLATED, "dry_run": True}, PATH)
    assert (reply.status, client.requests) == (200, [])


async def test_a_route_answers_under_its_own_name() -> None:
    routes = json.dumps([{"name": "claude-everyday", "targets": [{"model": "openai/gpt-4.1-mini"}]}])
    async with world(TIDEGATE_ROUTES=routes) as client:
        reply = await client.post({**TRANSLATED, "model": "claude-everyday"}, PATH)
    assert (reply.json["model"], reply.headers["x-tidegate-model"]) == ("claude-everyday", "openai/gpt-4.1-mini")


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"max_tokens": 0}, "max_tokens"), ({"messages": [{"role": "critic", "content": "No."}]}, "messages[0].role")],
)
async def test_what_only_anthropic_takes_goes_on_as_it_is_and_is_refused_in_translation(
    fields: Any, param: str
) -> None:
    """A limit of 0 fills the cache without an answer."""
    warmed = {**ANTHROPIC.plain, "content": [], "stop_reason": "max_tokens"}
    async with world(answers(warmed), **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, **fields}, PATH)
        assert (reply.status, reply.json) == (200, {**warmed, "model": ANTHROPIC.id})
        assert json.loads(client.requests[0].content) == {**NATIVE, **fields, "model": ANTHROPIC.model}
        refused = await client.post({**TRANSLATED, **fields}, PATH)
        assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")
        assert f"cannot take {param}" in refused.json["error"]["message"]
        assert len(client.requests) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_account_in_an_error_that_goes_on_is_masked(is_streamed: bool) -> None:
    secrets = ("org-AbCdEfGh12345678", "proj_AbCdEfGh12345678", "sk-ant-" + "x9" * 12)
    error = {"type": "invalid_request_error", "message": f"Stop, {secrets[0]}", "details": [{"a": secrets[1:]}]}
    body = {"type": "error", "error": error}
    handler = (
        (lambda _: ANTHROPIC.stream(*ANTHROPIC.pieces[:3], sse(body, "error"))) if is_streamed else answers(body, 400)
    )
    async with world(handler, **ANTHROPIC.env) as client:
        reply = await client.post({**NATIVE, "stream": is_streamed}, PATH)
    shown = events(reply)[-1][1] if is_streamed else reply.json
    masked = {**error, "message": "Stop, [redacted]", "details": [{"a": ["[redacted]", "[redacted]"]}]}
    assert shown == {"type": "error", "error": masked}


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/api/v1/messages"])
async def test_every_path_answers_counts_and_refuses_in_anthropics_terms(path: str) -> None:
    """OpenRouter's clients have the prefix /api."""
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        assert (await client.post(NATIVE, path)).json["type"] == "message"
        assert client.recorder.outcomes[0].call.endpoint == path
        counted = await client.post({**TRANSLATED, "model": "mistral/m"}, f"{path}/count_tokens")
        assert counted.json["input_tokens"] > 0
        for refused in (await client.post({**NATIVE, "messages": 1}, path), await client.get(path)):
            assert refused.json["type"] == "error" and "message" in refused.json["error"]
