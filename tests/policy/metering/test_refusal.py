"""What a call still gets that a limit does not allow at the longest answer of its model."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.store_worlds import outcome
from tests.world import WORKSPACE
from tidegate.catalog import CatalogModel, load_catalog
from tidegate.chat.request import build_chat_request
from tidegate.domain.account import Account
from tidegate.domain.call import Call
from tidegate.domain.limit_error import exceeded_limit, limit_error
from tidegate.domain.limits import Limits
from tidegate.errors import LimitReached, ModelUnpriced
from tidegate.policy.metering.refusal import RefusedCall
from tidegate.policy.metering.reservation import large_shares, worst_case_reservation


def saying_hi(limits: Limits, **fields: object) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    call = outcome().call
    return replace(call, request=build_chat_request(body), workspace=replace(WORKSPACE, limits=limits))


def refused_by(call: Call, model: CatalogModel | None) -> LimitReached | None:
    """The error of an unused account for the call; None if its worst case fits."""
    needed = worst_case_reservation(call, "p/m", model)
    assert needed is not None
    exceeded = exceeded_limit(Account(), needed.scopes[0], needed.hold)
    return limit_error(needed.scopes[0], exceeded, call.started_at) if exceeded else None


def with_max_tokens(call: Call, max_tokens: int) -> Call:
    return replace(call, request=call.request.with_output_limit(max_tokens))


def test_a_new_key_with_half_a_dollar_says_hi_to_every_model_that_does_not_research() -> None:
    call = saying_hi(Limits(usd_per_month=Decimal("0.5")))
    shortened: dict[str, int] = {}
    unpriced = 0
    for model in load_catalog():
        try:
            error = refused_by(call, model)
        except ModelUnpriced:
            unpriced += 1
            continue
        if error is not None:
            max_tokens = RefusedCall(call, model).max_tokens(error)
            assert max_tokens is not None, model.id
            if refused_by(with_max_tokens(call, max_tokens), model) is not None:
                assert "deep-research" in model.id  # 50 searches of one cent
                continue
            shortened[model.id] = max_tokens
    assert unpriced < 30
    assert len(shortened) > 100
    assert min(shortened.values()) >= 256


GPT = load_catalog().find_model("openai/gpt-4o")  # 16,384 tokens at most, USD 10 for a million


@pytest.mark.parametrize(
    ("limits", "max_tokens"),
    [
        (Limits(usd_per_day=Decimal(100)), None),
        (Limits(usd_per_day=Decimal("0.7")), None),
        (Limits(usd_per_day=Decimal("0.6")), 4096),
        (Limits(usd_per_day=Decimal("0.01")), range(230, 257)),
        (Limits(usd_per_day=Decimal("0.001")), range(16, 100)),
        (Limits(usd_per_day=Decimal("0.6"), tokens_per_day=1_000), 256),
        (Limits(words_per_day=100), 133),
    ],
)
def test_a_call_without_max_tokens_takes_no_large_share_of_a_budget(
    limits: Limits, max_tokens: int | range | None
) -> None:
    call = saying_hi(limits)
    needed = worst_case_reservation(call, "openai/gpt-4o", GPT)
    assert needed is not None
    found = RefusedCall(call, GPT).first_max_tokens(needed)
    assert found in max_tokens if isinstance(max_tokens, range) else found == max_tokens
    assert bool(large_shares(needed)) is (max_tokens is not None)


def test_a_short_model_is_held_at_its_longest_answer() -> None:
    call, short = saying_hi(Limits(usd_per_day=Decimal("0.06"))), GPT and replace(GPT, output_limit=1_480)
    needed = worst_case_reservation(call, "openai/short", short)
    assert needed is not None
    assert RefusedCall(call, short).first_max_tokens(needed) is None


def test_a_minute_that_is_full_is_waited_for_and_one_that_is_too_small_shared() -> None:
    fitting = saying_hi(Limits(tokens_per_minute=20_000))
    full = LimitReached("", limit="tokens_per_minute", maximum=20_000, remaining=9_000, largest=20_000)
    full.retry_after_seconds = 20.0
    assert RefusedCall(fitting, GPT).max_tokens(full) is None
    small = saying_hi(Limits(tokens_per_minute=8_000))
    error = refused_by(small, GPT)
    assert error is not None
    assert error.retry_after_seconds is None
    assert RefusedCall(small, GPT).max_tokens(error) in range(1_800, 2_000)


def test_a_limit_of_calls_shortens_nothing() -> None:
    call = saying_hi(Limits(requests_per_minute=0))
    error = refused_by(call, GPT)
    assert error is not None
    assert RefusedCall(call, GPT).max_tokens(error) is None
    assert RefusedCall(call, GPT).explained(error).message == (
        "This workspace's limit requests_per_minute of 0 allows no calls. Waiting does not help."
    )


def test_a_callers_own_limit_is_only_lowered_where_the_workspace_allows_it() -> None:
    own = saying_hi(Limits(usd_per_day=Decimal("0.01")), max_tokens=5_000)
    error = refused_by(own, GPT)
    assert error is not None
    assert RefusedCall(own, GPT).max_tokens(error) is None
    lowering = replace(own, workspace=replace(own.workspace, lowers_max_tokens=True))
    assert RefusedCall(lowering, GPT).max_tokens(error) in range(900, 1_000)
    off = saying_hi(Limits(usd_per_day=Decimal("0.01")))
    off = replace(off, workspace=replace(off.workspace, adds_max_tokens=False))
    error = refused_by(off, GPT)
    assert error is not None
    assert RefusedCall(off, GPT).max_tokens(error) is None


def test_speech_and_images_are_shortened_as_well() -> None:
    model = load_catalog().find_model("gemini/gemini-3-pro-image-preview")
    call = saying_hi(Limits(usd_per_day=Decimal("0.5")))
    error = refused_by(call, model)
    assert error is not None
    assert RefusedCall(call, model).affordable("usd_per_day", Decimal("0.5")) in range(4_000, 4_200)
