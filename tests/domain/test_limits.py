from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store_worlds import NOON
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import MAX_FIRST_DAY, Limits, is_period_forgotten, period_at


def test_own_limits_win_over_those_of_the_plan() -> None:
    plan = Limits(tokens_per_day=10, models=("openai/*",), requests_per_minute=5)
    own = Limits(tokens_per_day=20, requests_per_minute=0)
    assert own.with_defaults(plan) == Limits(tokens_per_day=20, models=("openai/*",), requests_per_minute=0)


def test_patterns_alone_need_no_counting() -> None:
    assert not Limits(models=("*",), providers=("openai",)).need_reservation
    assert Limits(parallel_calls=0).need_reservation
    assert Limits(usd_per_month=Decimal(0)).need_reservation


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        (Limits(), True),
        (Limits(models=()), False),
        (Limits(models=("openai/gpt-4o*",)), True),
        (Limits(models=("OpenAI/GPT-4o-mini",)), True),
        (Limits(models=("anthropic/*",)), False),
        (Limits(providers=("openai",)), True),
        (Limits(providers=("azure", "gemini")), False),
        (Limits(models=("*",), providers=("azure",)), False),
    ],
)
def test_models_and_providers_are_patterns(limits: Limits, allowed: bool) -> None:
    assert limits.allow_model("openai/gpt-4o-mini") is allowed


def test_a_routes_name_stands_for_its_models_and_never_for_their_providers() -> None:
    assert Limits(models=("fast",)).allow_model("openai/gpt-4o", "fast")
    assert Limits(models=("openai/*",)).allow_model("openai/gpt-4o", "fast")
    assert not Limits(models=("slow", "groq/*")).allow_model("openai/gpt-4o", "fast")
    assert Limits(models=("fast",), providers=("openai",)).allow_model("openai/gpt-4o", "fast")
    assert not Limits(models=("fast",), providers=("groq", "fast")).allow_model("openai/gpt-4o", "fast")


@pytest.mark.parametrize(
    ("span", "first_day", "name", "days_left"),
    [
        ("day", 1, "D#2026-11-21", 0.5),
        ("month", 1, "M#2026-11-01", 9.5),
        ("month", 21, "M#2026-11-21", 29.5),
        ("month", 22, "M#2026-10-22", 0.5),
        ("month", 28, "M#2026-10-28", 6.5),
    ],
)
def test_periods(span: str, first_day: int, name: str, days_left: float) -> None:
    found = period_at("day" if span == "day" else "month", NOON, first_day)
    assert found == (name, NOON + days_left * 86400)


@pytest.mark.parametrize(
    ("name", "days", "over"),
    [
        ("D#2026-11-19", 0, False),
        ("D#2026-11-19", 0.5, True),
        ("M#2026-09-13", 0, False),
        ("M#2026-09-13", 0.5, True),
        ("M#2026-01-31", 365, False),
        ("W#2026-01-01", 365, False),
        ("D#once", 365, False),
        ("", 365, False),
    ],
)
def test_a_period_is_long_over_when_nobody_books_to_it_any_more(name: str, days: float, over: bool) -> None:
    """What a newer version may have called otherwise never is."""
    assert is_period_forgotten(name, NOON + days * 86400) is over


@given(st.datetimes(datetime(2023, 1, 1), datetime(2033, 1, 1)), st.integers(1, MAX_FIRST_DAY))
@example(datetime(2024, 2, 28, 23, 59, 59), 28)
@example(datetime(2024, 2, 29), 1)
@example(datetime(2025, 2, 28), 28)
@example(datetime(2024, 12, 31, 23, 59, 59), 1)
def test_one_period_ends_when_the_next_begins_whatever_the_month(at: datetime, first_day: int) -> None:
    for span, days in (("day", {1}), ("month", {28, 29, 30, 31})):
        moment = at.replace(tzinfo=UTC).timestamp()
        here = period_at(span, moment, first_day)
        begins = datetime.fromisoformat(here.name[2:]).replace(tzinfo=UTC)
        assert begins.timestamp() <= moment < here.ends_at
        assert (here.ends_at - begins.timestamp()) / 86400 in days
        assert span == "day" or begins.day == first_day
        following = period_at(span, here.ends_at, first_day)
        assert following.name[2:] == datetime.fromtimestamp(here.ends_at, UTC).date().isoformat()
        assert period_at(span, here.ends_at - 0.001, first_day) == here


def test_a_month_ends_in_the_next_year() -> None:
    december = NOON + 30 * 86400
    assert period_at("month", december, 5) == period_at("month", december + 14 * 86400, 5)
    assert period_at("month", december + 15 * 86400, 5).name == "M#2027-01-05"


@pytest.mark.parametrize(("most", "shards"), [(10, 3), (2, 5), (Decimal("1.5"), 4), (7, 1)])
def test_the_shares_of_all_shards_are_the_limit(most: int | Decimal, shards: int) -> None:
    shares = [AccountScope("workspace", "ws_one", Limits(), shard, shards).share(most) for shard in range(shards)]
    assert sum(shares) == most
    assert max(shares) - min(shares) <= 1


SPELLINGS = (
    *("gemini/models/gemini-2.5-pro", "gemini/gemini/gemini-2.5-pro", "gemini/models/models/gemini-2.5-pro"),
    *("gemini/GEMINI-2.5-Pro", "gemini/gemini-2.5-pro/", "gemini//gemini-2.5-pro", "gemini/gemini-2.5-pro "),
    *("gemini/models%2Fgemini-2.5-pro", "gemini/models%252fgemini-2.5-pro", "gemini/gemini\u20112.5\u2011pro"),
    *("gemini/\uff47emini-2.5-pro", "gemini/gemini-\u200b2.5-pro", "gemini/gemini/models/gemini-2.5-pro"),
)


@pytest.mark.parametrize("model_id", SPELLINGS)
def test_a_model_is_allowed_or_not_in_every_spelling(model_id: str) -> None:
    assert Limits(models=("gemini/gemini-2.5-pro",)).allow_model(model_id)
    assert not Limits(models=("gemini/gemini-2.5-flash", "gemini/*flash*")).allow_model(model_id)
    assert not Limits(models=("gemini/[mｇ%]*", "gemini/gemini/f*", "gemini/GEMINI-3*")).allow_model(model_id)


@pytest.mark.parametrize(
    ("pattern", "model_id", "allowed"),
    [
        ("gemini/models/gemini-2.5-*", "gemini/models/gemini-2.5-pro", True),
        ("fireworks/accounts/fireworks/models/*", "fireworks/accounts/fireworks/models/kimi-k2p5", True),
        ("fireworks/accounts/fireworks/models/*", "fireworks/accounts/other/models/kimi-k2p5", False),
        ("fireworks/kimi-k2p5", "fireworks/accounts/fireworks/models/kimi-k2p5", True),
        ("fireworks/kimi-k2p6", "fireworks/accounts/fireworks/routers/kimi-k2p6-turbo", False),
        ("vertex/publishers/google/models/*", "vertex/publishers/anthropic/models/claude-sonnet-5", False),
        ("vertex/gemini-2.5-pro", "vertex/projects/p/locations/l/publishers/google/models/gemini-2.5-pro", True),
        ("vertex/*", "vertex/endpoints/123", True),
        ("groq/groq/compound", "groq/groq/compound", True),
        ("groq/compound", "groq/groq/compound", True),
        ("openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o:online", False),
        ("openrouter/openai/gpt-4o*", "openrouter/openai/gpt-4o:online", True),
        ("openrouter/openai/gpt-4o*", "openrouter/openai/gpt-4o@preset/mine", False),
        ("openrouter/*", "openrouter/@preset/mine", False),
        ("openrouter/*", "openrouter/%40preset%2Fmine", False),
        ("openrouter/@preset/*", "openrouter/@preset/mine", True),
    ],
)
def test_a_pattern_of_models_matches_the_plain_name(pattern: str, model_id: str, allowed: bool) -> None:
    assert Limits(models=(pattern,)).allow_model(model_id) is allowed
