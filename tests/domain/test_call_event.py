from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.domain.call_event import MAX_TIMELINE_EVENTS, CallEvent, EventKind, format_timeline, parse_timeline


def test_a_timeline_is_read_as_it_was_written() -> None:
    events = [
        CallEvent(0.002, "authenticated"),
        CallEvent(0.003, "cache", "miss"),
        CallEvent(0.004, "attempt", "first", "bedrock/eu.anthropic.claude-v1:0(fast#1)"),
        CallEvent(1.5, "failed", "provider_timeout", "openai/my model"),
        CallEvent(61.234, "settled"),
    ]
    timeline = format_timeline(events)
    assert timeline == (
        "auth@2 cache@3:miss try@4:first:bedrock/eu.anthropic.claude-v1:0(fast#1) "
        "fail@1500:provider_timeout:openai/my%20model end@61234"
    )
    assert list(parse_timeline(timeline)) == events


def test_the_deployment_that_the_record_names_is_not_named_again() -> None:
    events = [
        CallEvent(0.004, "attempt", "first", "openai/gpt-4o"),
        CallEvent(1.5, "failed", "provider_timeout", "openai/gpt-4o"),
        CallEvent(1.6, "attempt", "fallback", "groq/llama"),
        CallEvent(1.9, "first_token"),
    ]
    timeline = format_timeline(events, "groq/llama")
    assert timeline == (
        "try@4:first:openai/gpt-4o fail@1500:provider_timeout:openai/gpt-4o try@1600:fallback first@1900"
    )
    assert list(parse_timeline(timeline, "groq/llama")) == events


def test_each_kind_of_event_has_a_name_of_its_own() -> None:
    events = [CallEvent(0.0, kind) for kind in get_args(EventKind)]
    assert list(parse_timeline(format_timeline(events))) == events


def test_a_timeline_of_later_versions_is_read_as_far_as_it_is_known() -> None:
    assert list(parse_timeline("auth@1 teleport@2:x end@x end@3 @ :")) == [
        CallEvent(0.001, "authenticated"),
        CallEvent(0.003, "settled"),
    ]


def test_a_long_path_keeps_its_beginning_and_its_end() -> None:
    events = [CallEvent(n / 1000, "attempt", "retry", f"m{n}") for n in range(500)]
    read = list(parse_timeline(format_timeline(events)))
    assert len(read) == MAX_TIMELINE_EVENTS
    [at] = [n for n, event in enumerate(read) if event.kind == "skipped"]
    left_out = int(read[at].detail)
    assert read[:at] + events[at : at + left_out] + read[at + 1 :] == events
    full = events[:MAX_TIMELINE_EVENTS]
    assert list(parse_timeline(format_timeline(full))) == full


@given(st.floats(-10, 10) | st.floats(0, 1e6))
@example(0.0625)  # half of an odd and of an even number of milliseconds
@example(0.0635)
@example(-0.0004)
@example(0.9996)
def test_times_are_rounded_to_whole_milliseconds(seconds: float) -> None:
    for _ in range(2):  # the texts of the first second are remembered
        assert format_timeline([CallEvent(seconds, "received")]) == f"body@{round(seconds * 1000)}"


def test_an_event_without_a_detail_names_another_deployment() -> None:
    failed = CallEvent(0.5, "failed", "", "openai/gpt-4o")
    assert format_timeline([failed], "openai/gpt-4o") == "fail@500"
    assert format_timeline([failed], "groq/llama") == "fail@500::openai/gpt-4o"
