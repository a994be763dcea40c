"""The whole content of traced calls whose provider, or whose caller, does not speak OpenAI's dialect."""

import dataclasses
import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC, BEDROCK, SAID, Native, ask
from tests.pipeline.traced import answer_of, trace_of
from tests.world import WORKSPACE, Client, completion, world
from tidegate.domain.guardrails import Guardrail

MESSAGES = "/v1/messages?beta=true"
CALL: dict[str, Any] = {
    "system": "Answer briefly.",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Write a tagline."}]}],
}


def path_and_query(client: Client) -> str:
    return client.requests[0].url.raw_path.decode()


@pytest.mark.parametrize("native", [ANTHROPIC, BEDROCK], ids=lambda native: native.name)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_trace_has_what_a_provider_of_another_dialect_got_and_sent(native: Native, stream: bool) -> None:
    pieces = native.pieces if stream else (json.dumps(native.plain).encode(),)
    kind = native.kind if stream else "application/json"
    answering = dataclasses.replace(native, kind=kind)
    async with world(lambda _: answering.stream(*pieces), **native.env) as client:
        body = json.dumps(ask(native, stream=stream, observability=True)).encode()
        reply = await client.post(body)
        trace = await trace_of(client)
    assert (trace.request, trace.error) == (body, None)
    [attempt] = trace.attempts
    assert (attempt.url, attempt.status, attempt.error) == (f"***{path_and_query(client)}", 200, None)
    assert attempt.body == client.requests[0].content
    assert attempt.reply_headers["content-type"] == kind
    assert attempt.reply == b"".join(pieces)
    assert [piece.size for piece in attempt.pieces] == [len(piece) for piece in pieces]
    answer = answer_of(trace)
    assert answer["choices"][0]["message"]["content"] == SAID
    if not stream:
        assert answer == reply.json


@pytest.mark.parametrize("stream", [False, True])
async def test_the_request_of_a_message_is_the_one_of_its_caller(stream: bool) -> None:
    pieces = ANTHROPIC.pieces
    async with world(
        lambda each: ANTHROPIC.stream(*pieces) if stream else ANTHROPIC.answer(each), **ANTHROPIC.env
    ) as client:
        body = json.dumps({**CALL, "model": ANTHROPIC.id, "stream": stream, "observability": True}, indent=1).encode()
        await client.post(body, MESSAGES)
        trace = await trace_of(client)
    assert trace.request == body
    [attempt] = trace.attempts
    assert json.loads(attempt.body) == {**CALL, "model": ANTHROPIC.model, "stream": stream}
    if stream:
        assert attempt.reply == b"".join(pieces)
    else:
        assert json.loads(attempt.reply) == ANTHROPIC.plain
    answer = answer_of(trace)
    assert (answer["choices"][0]["message"]["content"], "native" in answer) == (SAID, False)


async def test_the_request_of_a_message_is_not_the_translated_one() -> None:
    async with world(completion(SAID)) as client:
        body = json.dumps({**CALL, "model": "openai/gpt-4.1-mini", "observability": True}).encode()
        reply = await client.post(body, MESSAGES)
        trace = await trace_of(client)
    assert trace.request == body
    [attempt] = trace.attempts
    assert json.loads(attempt.body)["messages"][0] == {"role": "system", "content": "Answer briefly."}
    assert answer_of(trace)["choices"][0]["message"]["content"] == reply.json["content"][0]["text"] == SAID


async def test_the_texts_of_a_message_are_masked_where_its_caller_has_put_them() -> None:
    masks = Guardrail("words", "words", words=("tagline", "smarter"), action="mask", always=True)
    workspace = replace(WORKSPACE, guardrails=(masks,))
    async with world(ANTHROPIC.answer, workspace=workspace, **ANTHROPIC.env) as client:
        await client.post({**CALL, "model": ANTHROPIC.id, "observability": True}, MESSAGES)
        trace = await trace_of(client)
    request = json.loads(trace.request)
    assert (request["system"], trace.masked) == ("Answer briefly.", ("words",))
    content = b"".join(
        [trace.request, trace.answer, trace.chunks, *(each.body + each.reply for each in trace.attempts)]
    )
    assert not any(word in content for word in (b"tagline", b"smarter"))
