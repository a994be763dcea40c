from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tests.store_worlds import NOON, outcome
from tidegate.domain.account import Hold
from tidegate.domain.call import TraceContext
from tidegate.domain.call_event import CallEvent
from tidegate.domain.deployment import Deployment
from tidegate.domain.limits import Amounts
from tidegate.domain.record import (
    COUNTERS,
    call_record,
    counter_increments,
    counter_periods,
    iso_time,
    plain_decimal,
    stored_fields,
    stored_increments,
)
from tidegate.domain.usage import TokenCounts
from tidegate.pipeline.observation import log_fields


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("0E-18", "0"),
        ("100", "100"),
        ("1E+2", "100"),
        ("3E-7", "0.0000003"),
        ("1.500000000000000000", "1.5"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_money_is_written_without_exponents_and_trailing_zeros(amount: str, text: str) -> None:
    assert plain_decimal(Decimal(amount)) == text


def test_a_moment_belongs_to_its_month_and_day_in_utc() -> None:
    assert counter_periods(1_767_225_599.9) == ("M#2025-12", "D#2025-12-31")
    assert counter_periods(1_767_225_600) == ("M#2026-01", "D#2026-01-01")


def test_time_is_iso_8601_in_utc_with_milliseconds() -> None:
    assert iso_time(1_767_225_599.5) == "2025-12-31T23:59:59.500Z"


@given(st.floats(-1e9, 4e9))
@example(1_795_780_800.999_999_9)  # the next second, to the microsecond
@example(1_795_780_800.999_5)
@example(1_795_780_800.0)
@example(-0.25)
def test_time_is_as_the_library_writes_it(at: float) -> None:
    assert iso_time(at) == datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(st.floats(1.7e9, 2.1e9), st.floats(0, 0.01) | st.floats(0, 700), st.floats(0, 1))
def test_durations_are_rounded_to_microseconds_and_in_the_log_to_tenths_of_milliseconds(
    at: float, seconds: float, first: float
) -> None:
    ended = outcome(at=at, finished_at=at + seconds, first_event_seconds=(at + first * seconds) - at)
    lasted = ended.finished_at - at
    record = call_record(ended)
    line = log_fields(ended, record)
    assert ended.first_event_seconds is not None
    assert [record.first_event_seconds, record.seconds] == [
        round(ended.first_event_seconds, 6),
        round(lasted, 6),
    ]
    assert [line.first_event_seconds, line.seconds] == [round(ended.first_event_seconds, 4), round(lasted, 4)]


def test_record_and_log_line_have_the_same_fields() -> None:
    ended = outcome(id="call", tokens=TokenCounts(input=5, output=7, estimated=True), native_finish_reason="end")
    names = {"error_code": "e", "ignored": ("i",), "guardrails": {"g": "v"}, "generation_seconds": 0.5, "attempts": 4}
    came = {
        "session_id": "s",
        "agent_id": "a",
        "parent_agent_id": "p",
        "batch_id": "b",
        "batch_line": 9,
        "endpoint": "/e",
    }
    trace, deployment = TraceContext("t", None, None, is_sampled=True), Deployment("demo", "m", "", label="l")
    call = replace(ended.call, **came, trace_context=trace)
    hold = Hold("call", "ws_one", "key_one", "demo/m", Amounts(1, 2, Decimal(3)), 1, NOON, NOON + 9)
    ended = replace(
        ended, call=call, deployment=deployment, hold=hold, events=(CallEvent(0, "cache", "miss"),), **names
    )
    made = call_record(ended)
    record, line = asdict(made), asdict(log_fields(ended, made))
    assert None not in line.values()
    own = {"call_id": "call", "line": 9, "model": "demo/m", "failed_attempts": [], "cost_usd": "0.00012345"}
    assert line == {**{name: record.get(name) for name in line}, **own}


def test_a_call_is_counted_by_its_record_without_zeros() -> None:
    record = {"status": "failed", "input_tokens": 3, "output_tokens": 0, "words": Decimal(2), "estimated": True}
    counted = {"calls": 1, "calls_failed": 1, "input_tokens": 3, "words": Decimal(2)}
    assert list(stored_increments({**record, "cost_usd": Decimal("0.5")}).items()) == [
        *counted.items(),
        ("cost_usd", Decimal("0.5")),
    ]
    assert stored_increments({**record, "cost_usd": Decimal(0)}) == counted
    for unpriced in (record, {**record, "cost_usd": None}):
        assert stored_increments(unpriced) == {**counted, "calls_unpriced": 1}


def test_a_call_adds_to_all_counters_the_same_before_and_after_its_record_is_stored() -> None:
    tokens = TokenCounts(input=5, output=7, cached=4, written=3, reasoning=2, searches=1)
    record = call_record(outcome(tokens=tokens, status="cancelled"))
    increments = counter_increments(record)
    assert increments == {
        **{"calls": 1, "calls_cancelled": 1, "input_tokens": 5, "output_tokens": 7, "cached_tokens": 4},
        **{"written_tokens": 3, "reasoning_tokens": 2, "searches": 1, "words": 9, "input_words": 8},
        "cost_usd": Decimal("0.00012345"),
    }
    assert set(increments) <= {*COUNTERS, "cost_usd"}
    assert stored_increments(stored_fields(record)) == increments


def test_a_record_is_stored_without_what_is_none() -> None:
    record = call_record(outcome(at=NOON))
    assert stored_fields(record) == {name: value for name, value in asdict(record).items() if value is not None}


def test_the_cache_verdict_is_that_of_the_last_lookup_although_a_long_timeline_leaves_it_out() -> None:
    events = [CallEvent(0.0, "attempt", "retry", "demo/m")] * 80
    assert call_record(outcome(events=tuple(events))).cache is None
    events[40] = CallEvent(0.0, "cache", "miss")
    record = call_record(outcome(events=tuple(events)))
    assert (record.cache, "cache" in (record.timeline or "")) == ("miss", False)


def test_the_cache_verdict_is_no_text_of_another_event() -> None:
    named = CallEvent(0.0, "failed", "provider_timeout", "demo/m cache@1:hit")
    lookups = (CallEvent(0.0, "cache", "miss"), CallEvent(0.0, "cache", "hit"))
    assert call_record(outcome(events=(named, *lookups, named))).cache == "hit"
    assert call_record(outcome(events=(*lookups[:1], named))).cache == "miss"
    assert call_record(outcome(events=(named,))).cache is None
