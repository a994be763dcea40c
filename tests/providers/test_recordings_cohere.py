"""Every recorded exchange with Cohere: replies against a second reading of their raw bodies, requests both ways."""

import json
import random
from typing import Any

import pytest

from tests.providers import cohere_schema
from tests.providers.assembling import read_chunks, read_completion, reads, run
from tests.providers.calls import BASE_URL, call, sent
from tests.providers.reading_cohere import plain, streamed
from tests.providers.recorded import COMPLETE, Exchange, all_needed, chats, exchanges
from tidegate.domain.deployment import Deployment
from tidegate.errors import ContextLengthExceeded, InvalidRequest, ProviderAuth, StreamCut, UpstreamError
from tidegate.providers.cohere import PROVIDER
from tidegate.upstream.sse import SseDecoder


def answered(*, streams: bool) -> list[Exchange]:
    return [one for one in exchanges("cohere") if one.status == 200 and one.streams is streams]


def test_a_recorded_reply_means_what_its_raw_body_means() -> None:
    for one in answered(streams=False):
        before = json.dumps(one.body)
        assert read_completion(PROVIDER.parse_completion(one.body)) == plain(one.body), one.id
        assert json.dumps(one.body) == before, one.id


def test_a_recorded_citation_stands_at_its_text() -> None:
    found = 0
    for one in answered(streams=False):
        message = PROVIDER.parse_completion(one.body)["choices"][0]["message"]
        raw = one.body["message"].get("citations") or []
        urls = [
            (s["tool_output"]["url"], c["text"]) for c in raw for s in c["sources"] if "url" in s.get("tool_output", {})
        ]
        noted = [note["url_citation"] for note in message.get("annotations", [])]
        text = message["content"] or ""
        assert [(note["url"], text[note["start_index"] : note["end_index"]]) for note in noted] == urls, one.id
        assert message.get("citations", []) == raw, one.id
        found += len(noted)
    assert found == (5 if COMPLETE else 1)


def test_a_recorded_stream_means_what_its_raw_text_means_however_it_is_cut_into_reads() -> None:
    for one in answered(streams=True):
        expected = streamed(one.body)
        for seed in range(3):
            batches = reads(one.body.encode(), random.Random(f"{one.id}{seed}"))
            chunks = [chunk for batch in run(PROVIDER, batches) for chunk in batch]
            assert read_chunks(chunks) == expected, one.id


def test_a_recorded_stream_that_breaks_off_before_its_end_never_ends_cleanly() -> None:
    for one in answered(streams=True):
        decoder = SseDecoder()
        events = [*decoder.feed(one.body.encode()), *decoder.end()]
        end = next(place for place, event in enumerate(events) if event.type == "message-end")
        for length in {*range(min(end, 40)), *range(max(0, end - 10), end + 1)}:
            with pytest.raises(StreamCut):
                run(PROVIDER, [events[:length]])


def test_a_recorded_stream_cut_inside_an_event_never_ends_cleanly() -> None:
    for one in answered(streams=True):
        raw, choose = one.body.encode(), random.Random(one.id)
        last = raw.rfind(b'"finish_reason"')
        for length in (1, last, *(choose.randrange(1, last) for _ in range(5))):
            with pytest.raises(UpstreamError):
                run(PROVIDER, reads(raw[:length], choose))


def test_every_recorded_refusal_is_classified() -> None:
    refused = [one for one in exchanges("cohere") if one.status != 200]
    found = {one.status: type(PROVIDER.parse_error(one.status, one.headers, one.body)) for one in refused}
    assert (len(refused), found) == (2, {401: ProviderAuth, 400: ContextLengthExceeded})


def test_an_accepted_request_comes_out_of_its_openai_equivalent() -> None:
    for one in exchanges("cohere"):
        if one.status != 200 or _has_documents(one.request):
            continue
        body, ignored = sent(PROVIDER, _as_openai(one.request), one.request["model"])
        cohere_schema.check(body)
        assert ignored == (), one.id
        assert {"stream": False, **body} == one.request, one.id


@pytest.mark.parametrize("provider", ["openai", "groq", "mistral", "openrouter"])
def test_what_others_were_asked_becomes_what_cohere_accepts_or_a_refusal_with_its_path(provider: str) -> None:
    for one in [*chats(provider, streams=False), *chats(provider, streams=True)]:
        before = json.dumps(one.request)
        try:
            asked = call(one.request)
        except InvalidRequest:
            continue  # the provider's own dialect: the door refuses it
        try:
            request = PROVIDER.build_request(asked, Deployment("cohere", "command-a-reasoning-08-2025", BASE_URL))
        except InvalidRequest as error:
            assert error.param, one.id
        else:
            cohere_schema.check(json.loads(request.body))
        assert json.dumps(one.request) == before, one.id


def _has_documents(request: dict[str, Any]) -> bool:
    """Tool results as documents with fields of their own: OpenAI's dialect has no words for them."""
    return any("document" in part for one in request["messages"] for part in _parts(one) if isinstance(part, dict))


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _as_openai(request: dict[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in request.items() if name not in ("stop_sequences", "tool_choice")}
    asked["messages"] = [_turn(message) for message in request["messages"]]
    if "stop_sequences" in request:
        asked["stop"] = request["stop_sequences"]
    if "tool_choice" in request:
        asked["tool_choice"] = request["tool_choice"].lower()
    if "response_format" in request:
        named = {"name": "response", "schema": request["response_format"]["json_schema"]}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    return asked


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    thoughts = [part["thinking"] for part in _parts(message) if part["type"] == "thinking"]
    if not thoughts:
        return message
    rest = [part for part in message["content"] if part["type"] != "thinking"]
    return {**message, "content": rest, "reasoning": "".join(thoughts)}


@all_needed
def test_the_recordings_are_all_there() -> None:
    assert (len(exchanges("cohere")), len(answered(streams=False)), len(answered(streams=True))) == (72, 58, 12)
