"""What a trace must never have, or lose: credentials, texts that are masked, and content of any size."""

import json
import zlib
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.identity.google_account import ACCOUNT
from tests.pipeline.traced import answer_of, stored_trace, trace_of
from tests.world import USER, WORKSPACE, Trickle, answers, completion, delta, event_stream, sse, streams, world
from tidegate.domain.guardrails import Guardrail
from tidegate.pipeline.trace_attempt import MAX_PIECES, MAX_REPLY_BYTES
from tidegate.providers import Registry

MODEL = "openai/gpt-4.1-mini"
TRACED: dict[str, Any] = {"model": MODEL, "messages": USER, "observability": True}
MARK = "credential-marker"
TOKEN = f"ya29.{MARK}-token"
SPECS = {spec.name: spec for spec in Registry().specs() if spec.chats}
AWS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": f"{MARK}-s", "AWS_SESSION_TOKEN": f"{MARK}-session"}
GOOGLE = {"GOOGLE_VERTEX_PROJECT": "p", "GOOGLE_VERTEX_LOCATION": "europe-west4"}


def settings_of(name: str, auth: str) -> dict[str, str]:
    """A provider's settings, with a marker in each credential."""
    spec = SPECS[name]
    env = {spec.base_url_setting: f"https://user:{MARK}-password@{name}.example/v1"} if spec.base_url is None else {}
    key_setting = spec.key_setting or spec.optional_key_setting or f"{name.upper()}_API_KEY"
    match auth:
        case "signed":
            return env | AWS
        case "token":
            return env | GOOGLE | {"GOOGLE_VERTEX_CREDENTIALS": json.dumps(ACCOUNT)}
        case _:
            return env | GOOGLE | {key_setting: f"{MARK}-key"}


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize(
    ("name", "auth"), [*((name, "key") for name in SPECS), ("bedrock", "signed"), ("vertex", "token")]
)
async def test_no_credential_is_in_a_trace_even_if_the_provider_repeats_it(name: str, auth: str, status: int) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        if request.url.host == "oauth.invalid":
            return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        told = json.dumps([str(request.url), *request.headers.items()])
        return httpx.Response(status, json={"error": {"message": told}, "told": told})

    async with world(echo, **settings_of(name, auth)) as client:
        reply = await client.post({**TRACED, "model": f"{name}/m", "num_retries": 0})
        sent = json.dumps([[str(each.url), *each.headers.items()] for each in client.requests])
        content = await stored_trace(client, client.recorder.outcomes[-1].call.id)
    assert MARK in sent or "Credential=AKIA" in sent
    assert content is not None and b"/m" in zlib.decompress(content)
    assert MARK.encode() not in zlib.decompress(content)
    assert MARK.encode() not in reply.body


CARD, EMAIL = "4111 1111 1111 1111", "ada@example.com"
PRIVATE = [{"role": "user", "content": f"Write to {EMAIL}."}]
TOOL = {"role": "tool", "tool_call_id": "c1", "content": '{"lines": "a\\nb", "card": 4111111111111111}'}
MASKS_MAIL = Guardrail("mail", "personal", action="mask", entities=("EMAIL",), always=True)
WORDS = Guardrail("plans", "words", words=("Grüße",))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("changes", "body", "masked"),
    [
        ({"trace_mask": ("personal-data",)}, {}, ("personal-data",)),
        ({"guardrails": (MASKS_MAIL,)}, {}, ("mail",)),
        ({}, {"guardrails": ["personal-data-mask"]}, ("personal-data-mask",)),
        ({"guardrails": (WORDS,), "trace_mask": ("plans", "personal-data")}, {}, ("plans", "personal-data")),
    ],
)
async def test_a_masked_trace_has_no_text_that_the_guardrails_find(
    changes: dict[str, Any], body: dict[str, Any], masked: tuple[str, ...], stream: bool
) -> None:
    pieces = [delta(""), delta("To ada@exam"), delta("ple.com, Grüße"), delta(finish="stop"), "[DONE]"]
    provider = streams(*pieces) if stream else answers(completion(f"To {EMAIL}, Grüße"))
    async with world(provider, workspace=replace(WORKSPACE, **changes)) as client:
        await client.post({**TRACED, **body, "messages": PRIVATE, "stream": stream})
        trace = await trace_of(client)
        content = await stored_trace(client, trace.call_id)
    assert content is not None
    text = zlib.decompress(content).decode("utf-8", "replace")
    assert EMAIL not in text and "exam" not in text
    assert ("Grüße" in text) == ("plans" not in masked)
    assert trace.masked == masked
    [attempt] = trace.attempts
    assert (attempt.reply, attempt.status) == (b"", 200)
    assert sum(piece.size for piece in attempt.pieces) > 100
    assert json.loads(trace.request)["messages"][0]["content"] == "Write to [EMAIL]."
    assert json.loads(attempt.body)["messages"][0]["content"] == "Write to [EMAIL]."
    assert "[EMAIL]" in answer_of(trace)["choices"][0]["message"]["content"]


async def test_texts_in_the_arguments_of_a_tool_are_masked() -> None:
    arguments = json.dumps({"to": [f"Grüße {EMAIL}"]})
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": arguments}}
    workspace = replace(WORKSPACE, guardrails=(WORDS,), trace_mask=("plans", "personal-data"))
    async with world(answers(completion("", tool_calls=[call])), workspace=workspace) as client:
        await client.post(TRACED)
        trace = await trace_of(client)
    [masked] = answer_of(trace)["choices"][0]["message"]["tool_calls"]
    assert EMAIL not in masked["function"]["arguments"]
    assert json.loads(masked["function"]["arguments"])["to"][0].endswith("[EMAIL]")
    assert "Grüße" not in json.loads(masked["function"]["arguments"])["to"][0]


async def test_card_numbers_that_are_json_numbers_are_masked() -> None:
    number = 4111111111111111
    arguments = json.dumps({"note": "two\nlines", "card": number, "is_new": True, "amount": 12})
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    body = {**TRACED, "messages": [*USER, {"role": "assistant", "tool_calls": [call]}, TOOL], "unknown": [number]}
    async with world(
        answers(completion("", tool_calls=[call])), workspace=replace(WORKSPACE, trace_mask=("personal-data",))
    ) as client:
        assert (await client.post(body)).status == 200
        trace = await trace_of(client)
        content = await stored_trace(client, trace.call_id)
    assert content is not None and str(number).encode() not in zlib.decompress(content)
    [masked] = answer_of(trace)["choices"][0]["message"]["tool_calls"]
    expected = {"note": "two\nlines", "card": "[CARD]", "is_new": True, "amount": 12}
    assert json.loads(masked["function"]["arguments"]) == expected
    assert json.loads(trace.request)["unknown"] == ["[CARD]"]


@pytest.mark.parametrize("arguments", [f'{{"to": "{EMAIL}", "to": "a\\nb"}}', f'{{"to": "{EMAIL}\\n", "to": "a"}}'])
async def test_a_field_that_is_there_twice_hides_no_text(arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": arguments}}
    body = json.dumps({**TRACED, "messages": [*USER, {"role": "assistant", "tool_calls": [call]}, TOOL]})
    twice = body.replace('"observability"', f'"user": "{EMAIL}", "user": "u", "observability"')
    async with world(
        answers(completion("", tool_calls=[call])), workspace=replace(WORKSPACE, trace_mask=("personal-data",))
    ) as client:
        assert (await client.post(twice.encode())).status == 200
        trace = await trace_of(client)
        content = await stored_trace(client, trace.call_id)
    assert trace.masked == ("personal-data",)
    assert content is not None and EMAIL.encode() not in zlib.decompress(content)


async def test_an_error_that_repeats_the_prompt_is_masked() -> None:
    failed = {"error": {"message": f"cannot write to {EMAIL}", "code": "invalid"}}
    workspace = replace(WORKSPACE, trace_mask=("personal-data",), trace_failures=True)
    async with world(answers(failed, 400), workspace=workspace) as client:
        assert EMAIL in (await client.post({"model": MODEL, "messages": PRIVATE})).json["error"]["message"]
        trace = await trace_of(client)
    assert trace.error is not None and trace.error.message == "cannot write to [EMAIL]"
    assert trace.attempts[0].reply == b""


@pytest.mark.parametrize("answered", [True, False])
async def test_a_service_that_masks_calls_masks_traces_or_they_have_no_text(answered: bool) -> None:
    hook = {"name": "hook", "kind": "webhook", "action": "mask", "always": True, "fails": "open"}
    env = json.dumps([{**hook, "url": "https://hook.example/check"}])

    def provider(request: httpx.Request) -> httpx.Response:
        if request.url.host == "hook.example":
            texts = json.loads(request.content)["texts"]
            masked = [text.replace(EMAIL, "***") for text in texts]
            return httpx.Response(200 if answered else 500, json={"verdict": "mask", "texts": masked})
        return httpx.Response(200, json=completion(f"To {EMAIL}"))

    async with world(provider, TIDEGATE_GUARDRAILS=env) as client:
        assert (await client.post({**TRACED, "messages": PRIVATE})).status == 200
        trace = await trace_of(client)
        content = await stored_trace(client, trace.call_id)
    assert content is not None and EMAIL.encode() not in zlib.decompress(content)
    assert trace.masked == ("hook",)
    if answered:
        assert json.loads(trace.request)["messages"][0]["content"] == "Write to ***."
    else:
        assert (trace.request, trace.attempts[0].body, trace.answer) == (b"", b"", b"")


async def test_a_trace_that_cannot_be_masked_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async with world(workspace=replace(WORKSPACE, trace_mask=("gone",))) as client:
        assert (await client.post(TRACED)).status == 200
        assert await stored_trace(client, client.recorder.outcomes[-1].call.id) is None
    assert [line.message for line in caplog.records if line.message.startswith("trace")] == ["trace.lost"]


async def test_a_prompt_of_five_megabytes_is_kept_whole() -> None:
    body = json.dumps({**TRACED, "messages": [{"role": "user", "content": "word " * 1_000_000}]}).encode()
    async with world() as client:
        assert (await client.post(body)).status == 200
        trace = await trace_of(client)
    assert trace.request == body
    assert len(trace.attempts[0].body) > 5_000_000


async def test_a_reply_beyond_the_limit_is_cut_and_counted() -> None:
    upstream = json.dumps(completion("x" * (MAX_REPLY_BYTES + 1000))).encode()
    async with world(lambda _: httpx.Response(200, content=upstream)) as client:
        assert (await client.post(TRACED)).status == 200
        trace = await trace_of(client)
    [attempt] = trace.attempts
    assert attempt.reply == upstream[:MAX_REPLY_BYTES]
    assert attempt.omitted_bytes == len(upstream) - MAX_REPLY_BYTES
    assert sum(piece.size for piece in attempt.pieces) == MAX_REPLY_BYTES


async def test_a_stream_of_more_pieces_than_are_kept_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PIECES == 100_000
    monkeypatch.setattr("tidegate.pipeline.trace_attempt.MAX_PIECES", 50)
    body = Trickle()
    for _ in range(200):
        body.pieces.put_nowait(sse(delta("a")))
    body.pieces.put_nowait(sse(delta(finish="stop"), "[DONE]"))
    body.pieces.put_nowait(None)
    async with world(lambda _: event_stream(body)) as client:
        reply = await client.post({**TRACED, "stream": True})
        trace = await trace_of(client)
    assert reply.events[-1] == "[DONE]" and len(reply.events) == 202
    [attempt] = trace.attempts
    assert (len(attempt.pieces), attempt.reply) == (50, sse(delta("a")) * 50)
    assert attempt.omitted_bytes == len(sse(delta("a")) * 150 + sse(delta(finish="stop"), "[DONE]"))
    assert answer_of(trace)["choices"][0]["message"]["content"] == "a" * 200


async def test_a_key_that_is_cut_off_at_the_end_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.pipeline.trace_attempt.MAX_REPLY_BYTES", 20)
    async with world(lambda _: httpx.Response(401, content=b"your key provider-secret-1 is wrong")) as client:
        await client.post({**TRACED, "num_retries": 0})
        [attempt] = (await trace_of(client)).attempts
    assert (attempt.reply, attempt.omitted_bytes) == (b"your key ***********", 15)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00not JSON", b'{"choices": "\xc3\x28"}', b""])
async def test_bytes_of_any_kind_are_kept(content: bytes) -> None:
    async with world(lambda _: httpx.Response(200, content=content)) as client:
        await client.post({**TRACED, "num_retries": 0})
        [attempt] = (await trace_of(client)).attempts
    assert attempt.reply == content
