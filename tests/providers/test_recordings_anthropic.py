"""Every recorded exchange with Anthropic's Messages API, in both directions."""

import json
import random
from typing import Any

import pytest

from tests.providers.anthropic_types import unknown_to_anthropic
from tests.providers.asking_anthropic import asked, comparable, is_translatable
from tests.providers.assembling import read_chunks, read_completion, reads, run
from tests.providers.calls import sent
from tests.providers.reading_anthropic import links, plain, signed, whole
from tests.providers.recorded import COMPLETE, Exchange, all_needed, exchanges
from tidegate.errors import (
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderMalformed,
    ProviderModelNotFound,
    StreamCut,
)
from tidegate.providers.anthropic import PROVIDER
from tidegate.providers.anthropic.reasoning_replay import thinking_blocks
from tidegate.upstream.sse import SseDecoder

_OF_BETAS = {".output_config.task_budget"}
"""What callers pass on to Anthropic themselves, and the SDK's stable types do not have."""


def _chats(*, streams: bool) -> list[Exchange]:
    return [
        one
        for one in exchanges("anthropic")
        if one.endpoint == "messages" and one.status == 200 and one.streams is streams
    ]


def _chunks(batches: Any) -> list[Any]:
    return [chunk for batch in run(PROVIDER, batches) for chunk in batch]


@all_needed
def test_the_recordings_are_all_there() -> None:
    assert (len(_chats(streams=False)), len(_chats(streams=True))) == (355, 55)


def test_a_recorded_reply_means_what_its_raw_body_means() -> None:
    for one in _chats(streams=False):
        before = json.dumps(one.body)
        completion: Any = PROVIDER.parse_completion(one.body)
        assert read_completion(completion) == plain(one.body), one.id
        message = completion["choices"][0]["message"]
        assert [block for _, block in thinking_blocks(message, None)] == signed(one.body), one.id
        assert _cited(message.get("annotations"), message["content"]) == links(one.body), one.id
        assert json.dumps(one.body) == before, one.id


def test_a_recorded_stream_means_what_its_raw_text_means_however_it_is_cut_into_reads() -> None:
    for one in _chats(streams=True):
        message = whole(one.body)
        for seed in range(2):
            chunks = _chunks(reads(one.body.encode(), random.Random(f"{one.id}{seed}")))
            assert read_chunks(chunks) == plain(message), one.id
            deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
            details = [detail for delta in deltas for detail in delta.get("reasoning_details", ())]
            replayed = [block for _, block in thinking_blocks({"reasoning_details": details}, None)]
            assert replayed == signed(message), one.id
            notes = [note for delta in deltas for note in delta.get("annotations", ())]
            assert _cited(notes, "".join(delta.get("content") or "" for delta in deltas)) == links(message), one.id


def _cited(notes: Any, text: str) -> list[tuple[str, str]]:
    found = [note["url_citation"] for note in notes or ()]
    return [(one["url"], text[one["start_index"] : one["end_index"]]) for one in found]


def test_a_recorded_stream_cut_after_any_event_never_ends_cleanly() -> None:
    for one in _chats(streams=True):
        decoder = SseDecoder()
        events = [*decoder.feed(one.body.encode()), *decoder.end()]
        finish = next(place for place, event in enumerate(events) if event.type == "message_delta")
        for end in range(finish + 1):
            with pytest.raises(StreamCut):
                run(PROVIDER, [events[:end]])
        assert run(PROVIDER, [events[: finish + 1]]), one.id


def test_a_recorded_stream_cut_inside_an_event_never_ends_cleanly() -> None:
    for one in _chats(streams=True):
        raw, choose = one.body.encode(), random.Random(one.id)
        last = raw.rfind(b"}", 0, raw.find(b"event: message_stop"))
        for end in (choose.randrange(1, last) for _ in range(5)):
            with pytest.raises((StreamCut, ProviderMalformed)):
                run(PROVIDER, reads(raw[:end], choose))


def test_a_recorded_refusal_is_classified() -> None:
    kinds = {401: ProviderAuth, 404: ProviderModelNotFound, 400: ProviderBadRequest}
    failed = [one for one in exchanges("anthropic") if one.status >= 300]
    for one in failed:
        error = PROVIDER.parse_error(one.status, one.headers, one.body)
        said = one.body["error"]["message"]
        expected = ContextLengthExceeded if "prompt is too long" in said else kinds[one.status]
        assert type(error) is expected, one.id
        assert (error.message == said) is (expected is not ProviderAuth), one.id
        assert error.native_code == one.body["error"]["type"]
    assert len(failed) == (5 if COMPLETE else 4)


def _accepted() -> list[Exchange]:
    return [*_chats(streams=False), *_chats(streams=True)]


def test_a_recorded_request_goes_out_as_it_was_recorded() -> None:
    """But for neighbours of one role, which Anthropic merges itself, blank texts, and an assistant who speaks first."""
    compared = 0
    for one in _accepted():
        if not is_translatable(one.request):
            continue
        body, ignored = sent(PROVIDER, asked(one.request), one.request["model"])
        assert comparable(body) == comparable(one.request), one.id
        assert ignored == (), one.id
        compared += 1
    assert compared == (326 if COMPLETE else 8)


def test_a_recorded_request_keeps_to_the_types_of_anthropics_sdk() -> None:
    for one in _accepted():
        if is_translatable(one.request):
            body, _ = sent(PROVIDER, asked(one.request), one.request["model"])
            assert set(unknown_to_anthropic(body)) <= _OF_BETAS, one.id
