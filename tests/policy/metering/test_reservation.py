"""What a call holds, against what recorded calls have used."""

from collections import Counter
from functools import cache
from statistics import median
from typing import Any

import pytest
from msgspec.structs import replace

from tests.policy.heard import Heard, heard
from tests.providers.recorded import all_needed
from tests.store_worlds import outcome
from tidegate.catalog import load_catalog
from tidegate.catalog.names import canonical_model_id
from tidegate.chat.request import build_chat_request
from tidegate.chat.worst_case import SEARCH_RESULT_TOKENS
from tidegate.domain.usage import TokenCounts
from tidegate.policy.metering.reservation import worst_case_tokens


@cache
def calls() -> tuple[Heard, ...]:
    return tuple(heard())


def held(one: Heard) -> TokenCounts:
    model = load_catalog().find_model(canonical_model_id(f"{one.exchange.provider}/{one.exchange.model}"))
    return worst_case_tokens(replace(outcome().call, request=one.request), model)


@all_needed
@pytest.mark.parametrize(
    ("kind", "count", "enough"), [("text", 534, 0.99), ("tools", 688, 1), ("media", 173, 1), ("search", 64, 57 / 64)]
)
def test_recorded_calls_took_no_more_input_than_is_held(kind: str, count: int, enough: float) -> None:
    mine = [one for one in calls() if one.kind == kind]
    assert len(mine) == count
    assert sum(one.input <= held(one).input for one in mine) >= enough * count


@all_needed
def test_what_is_held_for_input_is_not_absurd() -> None:
    known = [one for one in calls() if one.kind != "search"]
    assert median(held(one).input - one.input for one in known) < 700
    long = [one for one in known if held(one).input > 2_000 and one.kind != "media"]
    assert median(held(one).input / one.input for one in long) < 2.5


@all_needed
def test_recorded_answers_were_no_longer_than_is_held() -> None:
    over = Counter(bool(one.request.output_limit) for one in calls() if one.output > held(one).output)
    assert over == {}
    assert sum(bool(one.request.output_limit) for one in calls()) == 351


def test_a_call_that_may_search_holds_what_it_may_find() -> None:
    def input_of(**fields: Any) -> int:
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return worst_case_tokens(replace(outcome().call, request=build_chat_request(body)), None).input

    tools = [{"type": "function", "function": {"name": "f"}}]
    assert input_of(web_search_options={}) == input_of() + SEARCH_RESULT_TOKENS
    assert input_of(tools=[*tools, {"type": "web_search"}]) >= input_of(tools=tools) + SEARCH_RESULT_TOKENS
