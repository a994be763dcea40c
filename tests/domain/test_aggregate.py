"""Aggregates are the sums of their records, in total and by each name, in whatever order they are added."""

import random
from decimal import Decimal
from typing import Any

import pytest

from tests.call_records import NAMES, actual_sums, call_record, expected_sums
from tests.store_worlds import NOON
from tidegate.domain.aggregate import (
    DIMENSIONS,
    FIGURES,
    MAX_CELLS,
    MAX_HISTOGRAMS,
    MAX_NAMES,
    OTHER,
    Aggregate,
    Filter,
    aggregate,
    cost_usd,
)
from tidegate.domain.aggregate_document import decode_aggregate, encode_aggregate
from tidegate.errors import StoreUnavailable


def some_records(number: int = 3_000, seed: int = 1) -> list[dict[str, Any]]:
    source = random.Random(seed)
    return [call_record(source, NOON + source.random() * 3600) for _ in range(number)]


def test_all_sums_are_those_of_the_records() -> None:
    records = some_records()
    assert actual_sums(aggregate(records)) == expected_sums(records)


@pytest.mark.parametrize(("dimension", "field"), [*NAMES.items(), ("status", "status"), ("error", "error_code")])
def test_the_sums_of_each_name_are_those_of_its_records(dimension: str, field: str) -> None:
    records = some_records()
    groups = aggregate(records).group(dimension)
    names = {record[field] or "" for record in records}
    assert {name: actual_sums(group) for name, group in groups.items()} == {
        name: expected_sums(record for record in records if (record[field] or "") == name) for name in names
    }


def test_filters_select_by_all_of_their_names() -> None:
    records = some_records()
    selected = aggregate(records).select((Filter("key", "key_5"), Filter("model", "openai/model-6")))
    wanted = [each for each in records if each["key_id"] == "key_5" and each["answered_model"] == "model-6"]
    assert wanted
    assert actual_sums(selected) == expected_sums(wanted)
    assert sum(map(sum, (each.values() for each in selected.durations.values()))) == sum(
        each["attempts"] for each in wanted
    )


def test_percentiles_of_a_session_are_not_those_of_all() -> None:
    total = aggregate(some_records())
    assert total.durations
    assert total.select((Filter("status", "ok"),)).durations == {}
    assert all(group.durations == {} for group in total.group("session").values())


def test_order_and_division_of_the_records_do_not_matter() -> None:
    records = some_records()
    whole, parts = aggregate(records), Aggregate()
    random.Random(2).shuffle(records)
    for begin in range(0, len(records), 271):
        parts.add(aggregate(records[begin : begin + 271]))
    assert (parts.sums, parts.durations, parts.first_tokens) == (whole.sums, whole.durations, whole.first_tokens)


def test_a_document_has_all_of_the_aggregate() -> None:
    for written in (aggregate(some_records()), Aggregate(), aggregate([{"id": "x", "status": "lost"}])):
        assert decode_aggregate(encode_aggregate(written)) == written


def test_a_damaged_document_is_an_error_of_the_store() -> None:
    document = encode_aggregate(aggregate(some_records(100)))
    for damaged in (b"", b"x" * 50, document[:40], document[:-30]):
        with pytest.raises(StoreUnavailable):
            decode_aggregate(damaged)


def test_costs_are_exact_beyond_what_floats_and_64_bits_hold() -> None:
    costs = (Decimal("99999999999999999999.000000000000000001"), Decimal("0.000000000000000001"))
    total = aggregate([{"id": "a", "status": "ok", "cost_usd": cost} for cost in costs])
    stored = decode_aggregate(encode_aggregate(total))
    assert [cost_usd(row[-1]) for row in stored.sums.values()] == [Decimal("99999999999999999999.000000000000000002")]


def test_lines_of_a_batch_are_calls_without_durations() -> None:
    part = {"id": "b", "status": "batch", "lines": 10, "lines_failed": 3, "input_tokens": 70, "seconds": 9_000.0}
    total = aggregate([part])
    calls = {name: actual_sums(group)["calls"] for name, group in total.group("status").items()}
    assert calls == {"ok": 7, "failed": 3}
    assert actual_sums(total)["input_tokens"] == 70
    assert total.durations == {}


def test_calls_that_asked_no_provider_have_no_duration() -> None:
    durations = {"seconds": 0.001, "first_event_seconds": 0.001}
    total = aggregate([{"id": "c", "status": "cached", "attempts": 0, **durations}])
    assert (total.durations, total.first_tokens) == ({}, {})


def many_names(number: int) -> list[dict[str, Any]]:
    """Records of a caller that sends another application, session and model with each call."""
    source = random.Random(3)
    return [
        call_record(
            source, NOON, app_id=f"app{n}", session_id=f"s{n}", provider=None, model=f"m{n}", key_id=f"k{n % 9}"
        )
        for n in range(number)
    ]


def test_documents_are_bounded_and_keep_their_totals() -> None:
    records = many_names(30_000)
    total = aggregate(records)
    total.fold()
    assert len(total.sums) <= MAX_CELLS
    assert len(total.durations) <= MAX_HISTOGRAMS
    assert len(encode_aggregate(total)) < 100_000
    for dimension in DIMENSIONS:
        assert len(total.group(dimension)) <= 2 * MAX_NAMES + 1
    assert actual_sums(total) == expected_sums(records)
    assert sum(map(sum, (each.values() for each in total.durations.values()))) == sum(r["attempts"] for r in records)


def test_the_names_with_the_highest_cost_and_the_most_calls_are_kept() -> None:
    records = many_names(2_000)
    dear = call_record(random.Random(4), NOON, session_id="dear", cost_usd=Decimal(5), status="ok")
    busy = [call_record(random.Random(n), NOON, session_id="busy", cost_usd=Decimal(0)) for n in range(50)]
    total = aggregate([*records, dear, *busy])
    total.fold()
    sessions = total.group("session")
    assert actual_sums(sessions["dear"])["cost_usd"] == Decimal(5)
    assert actual_sums(sessions["busy"])["calls"] == 50
    assert OTHER in sessions


def test_dear_cells_keep_all_their_names_where_others_are_joined() -> None:
    records = many_names(5_000)
    dear = call_record(random.Random(4), NOON, session_id="dear", app_id="app-dear", cost_usd=Decimal(5))
    total = aggregate([*records, dear])
    total.fold(max_cells=50)
    assert len(total.sums) <= 50
    assert len(total.sessions) <= 50
    assert any("app-dear" in names for names in total.sums)
    assert any("app-dear" in names and "dear" in names for names in total.sessions)
    assert actual_sums(total) == expected_sums([*records, dear])


def test_figures_are_named_once_and_the_calls_come_first() -> None:
    assert len(set(FIGURES)) == len(FIGURES)
    assert (FIGURES[0], FIGURES[-1]) == ("calls", "cost")


def test_a_session_has_the_figures_of_its_calls_and_no_status() -> None:
    records = some_records()
    total = aggregate(records)
    selected = total.select((Filter("session", "session-5-7"),))
    wanted = [record for record in records if record["session_id"] == "session-5-7"]
    assert wanted
    assert actual_sums(selected) == expected_sums(wanted)
    failed = sum(row[FIGURES.index("failed")] for row in selected.sums.values())
    assert failed == sum(record["status"] == "failed" for record in wanted)
    assert total.select((Filter("session", "session-5-7"), Filter("status", "ok"))) == Aggregate()
