"""Calls that OpenAI's Responses API answers, from the door: searches billed, reasoning kept, failures in time."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.clients.published import check_completion, check_stream
from tests.native_providers import Pieces, sse, streamed
from tests.world import USER, world
from tidegate.domain.limits import Limits

TOOLS = [{"type": "function", "function": {"name": "tide", "parameters": {"type": "object", "properties": {}}}}]
TEXT = "High water at noon."
SECRET_THOUGHT = "c2VjcmV0IHRob3VnaHQ="
USAGE = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 60},
    "total_tokens": 1_100,
}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
CITATION = {"type": "url_citation", "url": "https://example.com", "title": "Tides", "start_index": 0, "end_index": 4}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [CITATION]}],
}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": SECRET_THOUGHT}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "tide", "arguments": "{}"}


def response(*output: dict[str, Any]) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "output": list(output), "usage": USAGE}


def events(*output: dict[str, Any]) -> tuple[bytes, ...]:
    """The items as a server streams them, and the end."""
    made = [{"type": "response.created", "response": {**response(), "status": "in_progress", "usage": None}}]
    for index, item in enumerate(output):
        made.append({"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}})
        if item is ANSWER:
            place = {"output_index": index, "content_index": 0, "item_id": "msg_1"}
            made += [{"type": "response.output_text.delta", **place, "delta": text} for text in (TEXT[:9], TEXT[9:])]
            made.append({"type": "response.output_text.annotation.added", **place, "annotation": CITATION})
        made.append({"type": "response.output_item.done", "output_index": index, "item": item})
    made.append({"type": "response.completed", "response": response(*output)})
    return tuple(sse(event, event["type"]) for event in made)


def streaming(*pieces: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))


def answering(request: httpx.Request, *output: dict[str, Any]) -> httpx.Response:
    if json.loads(request.content).get("stream"):
        return streaming(*events(*output))
    return httpx.Response(200, json=response(*output))


@streamed
@pytest.mark.parametrize("fields", [{"tools": [{"type": "web_search"}]}, {"web_search_options": {}}])
async def test_a_search_on_an_ordinary_model_is_answered_cited_and_billed(fields: dict[str, Any], stream: bool) -> None:
    asked = {"model": "openai/gpt-4o", "messages": USER, "stream": stream, **fields}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    async with world(lambda request: answering(request, SEARCH, ANSWER)) as client:
        reply = await client.post(asked)
        request = client.requests[0]
        assert request.url == "https://api.openai.com/v1/responses"
        assert json.loads(request.content)["tools"] == [{"type": "web_search"}]
        outcome = client.recorder.outcomes[0]
    cited = {"type": "url_citation", "url_citation": {key: CITATION[key] for key in CITATION if key != "type"}}
    if stream:
        chunks = check_stream(reply.body, asked)[:-1]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == TEXT
        assert [note for delta in deltas for note in delta.get("annotations") or ()] == [cited]
        usage = chunks[-1]["usage"]
    else:
        check_completion(reply.json)
        message = reply.json["choices"][0]["message"]
        assert (message["content"], message["annotations"]) == (TEXT, [cited])
        usage = reply.json["usage"]
    assert reply.headers.get("x-tidegate-ignored-params", "") == ""
    assert usage["server_tool_use"] == {"web_search_requests": 1}
    assert usage["cost"] == pytest.approx(1_000 * 2.5e-6 + 100 * 10e-6 + 0.01)
    assert outcome.status == "ok"


@pytest.mark.parametrize(("usd", "status"), [("0.10", 429), ("0.15", 200)])
async def test_searches_are_held_before_they_are_made(usd: str, status: int) -> None:
    """What the tool may read costs 0.08, and five searches 0.05."""
    asked = {"model": "openai/gpt-4o", "messages": USER, "tools": [{"type": "web_search"}], "max_tokens": 16}
    limits = Limits(usd_per_day=Decimal(usd))
    async with world(lambda request: answering(request, SEARCH, ANSWER), limits=limits) as client:
        assert (await client.post(asked)).status == status
        assert len(client.requests) == (status == 200)


@streamed
async def test_encrypted_reasoning_comes_back_though_the_client_dropped_it(stream: bool) -> None:
    asked = {"model": "openai/gpt-5.6", "messages": USER, "tools": TOOLS, "stream": stream}

    def provider(request: httpx.Request) -> httpx.Response:
        if b"three metres" in request.content:
            return answering(request, ANSWER)
        return answering(request, THOUGHT, CALL)

    async with world(provider) as client:
        first = await client.post(asked)
        assert SECRET_THOUGHT in first.body.decode()
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "tide", "arguments": "{}"}}],
        }
        result = {"role": "tool", "tool_call_id": "call_1", "content": "three metres"}
        second = await client.post({**asked, "messages": [*USER, message, result]})
        assert second.status == 200
        body = json.loads(client.requests[-1].content)
    assert body["input"] == [
        *USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SECRET_THOUGHT},
        {"type": "function_call", "call_id": "call_1", "name": "tide", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "three metres"},
    ]
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])


async def test_a_failure_before_the_first_text_is_tried_again() -> None:
    failed = {"type": "error", "code": "server_is_overloaded", "message": "Overloaded.", "param": None}
    answers = iter([streaming(events()[0], sse(failed, "error")), streaming(*events(ANSWER))])
    async with world(lambda request: next(answers)) as client:
        asked = {"model": "openai/o1-pro", "messages": USER, "stream": True}
        check_stream((await client.post(asked)).body, asked)
        assert len(client.requests) == 2


async def test_a_stream_without_its_end_is_an_error_and_no_clean_end() -> None:
    async with world(lambda request: streaming(*events(ANSWER)[:-1])) as client:
        reply = await client.post({"model": "openai/o1-pro", "messages": USER, "stream": True})
        assert client.recorder.outcomes[0].status != "ok"
    assert b"[DONE]" not in reply.body
    assert b'"error"' in reply.body


async def test_an_http_error_has_the_providers_own_words() -> None:
    error = {"message": "Unsupported value.", "type": "invalid_request_error", "param": "input", "code": None}
    async with world(lambda request: httpx.Response(400, json={"error": error})) as client:
        reply = await client.post({"model": "openai/o1-pro", "messages": USER})
    assert reply.status == 400
    assert reply.json["error"]["message"] == "Unsupported value."
