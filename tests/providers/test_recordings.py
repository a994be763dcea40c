"""Every recorded chat completion against a second, independent reading of its raw body."""

import json
import random

import pytest

from tests.providers.assembling import read_chunks, read_completion, reads, run
from tests.providers.reading import plain, streamed
from tests.providers.recorded import PROVIDERS, all_needed, chats, dialect
from tidegate.errors import StreamCut, UpstreamError
from tidegate.providers.base import StreamEvent
from tidegate.upstream.sse import SseDecoder


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_reply_means_what_its_raw_body_means(provider: str) -> None:
    for one in chats(provider, streams=False):
        ours = read_completion(dialect(provider).parse_completion(one.body))
        assert ours == plain(one.body), one.id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_reply_is_not_changed_by_being_read(provider: str) -> None:
    for one in chats(provider, streams=False):
        before = json.dumps(one.body)
        dialect(provider).parse_completion(one.body)
        assert json.dumps(one.body) == before, one.id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_stream_means_what_its_raw_text_means_however_it_is_cut_into_reads(provider: str) -> None:
    for one in chats(provider, streams=True):
        expected = streamed(one.body)
        for seed in range(2):
            batches = reads(one.body.encode(), random.Random(f"{one.id}{seed}"))
            if expected.error is not None:
                with pytest.raises(UpstreamError) as caught:
                    run(dialect(provider), batches)
                assert caught.value.message == expected.error, one.id
            else:
                chunks = [chunk for batch in run(dialect(provider), batches) for chunk in batch]
                assert read_chunks(chunks) == expected, one.id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_stream_that_breaks_off_before_its_finish_never_ends_cleanly(provider: str) -> None:
    for one in chats(provider, streams=True):
        decoder = SseDecoder()
        events = [*decoder.feed(one.body.encode()), *decoder.end()]
        complete = _finish_place(events)
        for end in _cuts(complete):
            with pytest.raises(UpstreamError):
                run(dialect(provider), [events[:end]])
        if streamed(one.body).error is None:
            assert run(dialect(provider), [events]), one.id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_stream_cut_inside_an_event_never_ends_cleanly(provider: str) -> None:
    for one in chats(provider, streams=True):
        raw = one.body.encode()
        choose = random.Random(one.id)
        ends = (raw.find(b'"finish_reason":"'), raw.rfind(b"[DONE]"), raw.rfind(b"}"))
        last = next(place for place in ends if place > 0)
        for end in (choose.randrange(1, last) for _ in range(3)):
            with pytest.raises(UpstreamError):
                run(dialect(provider), reads(raw[:end], choose))


def test_a_done_without_finish_and_usage_is_a_cut() -> None:
    events = [
        StreamEvent("message", '{"choices":[{"index":0,"delta":{"content":"a"}}]}'),
        StreamEvent("message", "[DONE]"),
    ]
    with pytest.raises(StreamCut):
        run(dialect("openai"), [events])


def _finish_place(events: list[StreamEvent]) -> int:
    """How many events there are before the one with the last choice's finish, or before the end where none has one."""
    open_choices: set[int] = set()
    for place, event in enumerate(events):
        if event.data == "[DONE]":
            return place
        for choice in json.loads(event.data).get("choices", []):
            open_choices.add(choice["index"])
            if choice.get("finish_reason"):
                open_choices.discard(choice["index"])
                if not open_choices:
                    return place
    return len(events)


def _cuts(count: int) -> list[int]:
    """Every length before the end, but not more than forty of a long stream."""
    return (
        list(range(count + 1))
        if count <= 40
        else [*range(10), *range(10, count - 10, count // 20), *range(count - 10, count + 1)]
    )


@all_needed
def test_the_recordings_are_all_there() -> None:
    counts = {streams: sum(len(chats(name, streams=streams)) for name in PROVIDERS) for streams in (False, True)}
    assert counts == {False: 753, True: 139}
