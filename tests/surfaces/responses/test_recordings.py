"""Every recorded reply as a response that the SDK and the order of events read, against an independent reading."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from openai.types.responses import Response

from tests.providers.reading import Reading
from tests.providers.recorded import COMPLETE, MISSING, exchanges
from tests.surfaces.recorded_replies import PROVIDERS, recorded_replies
from tests.surfaces.responses import event_order
from tests.surfaces.responses.event_order import decoded, read
from tests.surfaces.responses.sdk_stream import accumulated
from tidegate.chat.operation import CHAT
from tidegate.surfaces.late_dialects import RESPONSES

REQUEST: Any = RESPONSES.parse(CHAT, json.dumps({"model": "m", "input": "Hi", "reasoning": {"effort": "low"}}).encode())
STAMP = {"id": "resp_1", "created": 1_700_000_000, "model": "m"}
STATUSES = {"length": ("incomplete", "max_output_tokens"), "content_filter": ("incomplete", "content_filter")}


def heard(response: Any) -> tuple[Any, ...]:
    """What a person would say that the response means: its text, refusal, reasoning and calls, and how it ended."""
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    summaries = [part for item in output if item["type"] == "reasoning" for part in item["summary"]]
    calls = [(item["name"], json.loads(item["arguments"])) for item in output if item["type"] == "function_call"]
    return (
        "".join(part["text"] for part in parts if part["type"] == "output_text"),
        "".join(part["refusal"] for part in parts if part["type"] == "refusal"),
        "".join(part["text"] for part in summaries),
        calls,
        (response["status"], (response.get("incomplete_details") or {}).get("reason")),
    )


def check(response: Any, found: Reading, name: str) -> None:
    voice = found.voices[min(found.voices)]
    status = STATUSES.get(voice.ended or "", ("completed", None))
    assert heard(response) == (voice.text, voice.refusal, voice.thought, voice.calls, status), name
    if found.tokens is not None:
        usage = response["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == found.tokens, name
        assert usage["input_tokens_details"]["cached_tokens"] == found.cached, name


def check_stream(chunks: Sequence[Any], found: Reading, name: str) -> None:
    stream = RESPONSES.open_stream(REQUEST)
    sent = b"".join([*(stream.events([{**chunk, **STAMP}]) for chunk in chunks), stream.end()])
    check(read(sent).end, found, name)
    check(accumulated(sent), found, name)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_reply_is_read_by_openais_sdk(provider: str) -> None:
    for one in recorded_replies(provider):
        if one.chunks is not None:
            check_stream(one.chunks, one.reading, one.id)
            continue
        response = json.loads(RESPONSES.reply({**one.completion, **STAMP}, REQUEST))
        check(response, one.reading, one.id)
        check(Response.model_validate(response).to_dict(), one.reading, one.id)
        check_stream(CHAT.replay(one.completion), one.reading, one.id)


@pytest.mark.skipif(not COMPLETE, reason=f"{MISSING}: the sample has no streams of the Responses API.")
@pytest.mark.parametrize(("provider", "count"), [("openai", 46), ("azure", 1), ("xai", 10)])
def test_the_reading_of_the_order_reads_the_streams_of_its_makers(provider: str, count: int) -> None:
    """All but those of the background and of MCP servers, which the gateway does not have, and two without numbers."""
    found = 0
    for one in exchanges(provider):
        if (one.endpoint, one.status, one.kind) != ("responses", 200, "sse"):
            continue
        events = decoded(one.body.replace("\r\n", "\n").encode())
        first = events[0]
        is_known = first["response"]["status"] == "in_progress" and "mcp_list_tools" not in one.body
        if "sequence_number" in first and is_known:
            order = event_order.Reading(is_openais=True)
            for event in events:
                order.read(event)
            assert order.end is not None, one.id
            found += 1
    assert found == count
