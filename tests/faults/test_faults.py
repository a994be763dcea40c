"""What holds whatever a provider does: one answer, one record, and no lie about how it ended."""

import asyncio

import pytest

from tests.faults.faults import FAULTS
from tests.faults.measuring import Case, Found, cases, measure
from tests.faults.table import DOCUMENT, render

Everything = dict[Case, Found]


@pytest.fixture(scope="module", params=["pyreqwest", "httptools"])
def found(request: pytest.FixtureRequest) -> Everything:
    """What was found of every fault with one transport: played once for all tests that look at it."""
    return asyncio.run(measure(cases(FAULTS), request.param))


def test_the_document_is_current(found: Everything) -> None:
    assert DOCUMENT.read_text() == render(found), "run: python -m tests.faults --write"


def test_every_failure_is_told_in_the_one_envelope(found: Everything) -> None:
    for case, each in found.items():
        assert each.seen.complete, case
        if each.seen.status != 200:
            assert set(each.seen.error) == {"message", "type", "param", "code"}, case
            assert each.seen.error["code"], case


def test_a_stream_ends_with_done_or_with_an_error_and_never_with_both(found: Everything) -> None:
    streams = {case: each for case, each in found.items() if case.stream and each.seen.status == 200}
    for case, each in streams.items():
        error, events = each.seen.error, each.seen.events
        finished = any(choice["finish_reason"] for event in events if event != "[DONE]" for choice in _choices(event))
        assert (events[-1] == "[DONE]", finished) == ((False, False) if error else (True, True)), case


def test_the_record_says_what_the_client_saw(found: Everything) -> None:
    for case, each in found.items():
        error = each.seen.error
        told = ("failed", error["code"]) if error else ("ok", None)
        assert (each.record["status"], each.record["error_code"]) == told, case


def test_the_provider_is_not_asked_more_often_than_is_recorded(found: Everything) -> None:
    for case, each in found.items():
        if case.fault.is_used:
            assert each.asked <= 2 * each.record["attempts"], case
        else:
            assert each.asked == (0 if case.fault.stage == "connecting" else each.record["attempts"]), case


def test_what_was_refused_costs_nothing_and_what_began_is_metered(found: Everything) -> None:
    for case, each in found.items():
        tokens = each.record["input_tokens"], each.record["output_tokens"]
        if each.seen.status == 200:
            assert min(tokens) > 0 and each.record["cost_usd"] > 0, case
        elif not each.record["estimated"]:  # a provider that did not refuse the request may have worked on it
            assert (*tokens, each.record["cost_usd"]) == (0, 0, 0), case


def test_a_stream_that_failed_says_what_it_is_metered_with(found: Everything) -> None:
    for case, each in found.items():
        if case.stream and each.seen.status == 200 and each.seen.error:
            usage, record = each.seen.error["usage"], each.record
            told = usage["prompt_tokens"], usage["completion_tokens"], usage["estimated"]
            assert told == (record["input_tokens"], record["output_tokens"], record["estimated"]), case
            assert usage["cost"] == float(record["cost_usd"]), case


def test_no_message_holds_the_key(found: Everything) -> None:
    assert not any(b"not-a-key" in each.seen.body for each in found.values())


@pytest.mark.parametrize("name", ["an end without [DONE]", "the wrong content type"])
def test_what_is_no_fault_for_the_answer_is_none_for_the_client(found: Everything, name: str) -> None:
    assert [each.seen.status for case, each in found.items() if case.fault.name == name and each.seen.error] == []


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("429, retry-after: 1", (1.05, 1.1)),
        ("429, retry-after-ms: 200", (0.25, 0.3)),
        ("429 without a delay", (0.5, 1.0)),
        ("reset", (0.5, 1.0)),
        ("400", ()),
        ("401", ()),
    ],
)
def test_a_provider_is_left_alone_for_as_long_as_it_asks(
    found: Everything, name: str, waits: tuple[float, ...]
) -> None:
    assert {each.waits for case, each in found.items() if _lasts(case, name)} == {waits}


def _lasts(case: Case, name: str) -> bool:
    return case.fault.name == name and not case.once and not (case.stream and case.fault.stage == "midway")


def _choices(event: dict[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    return event.get("choices", [])
