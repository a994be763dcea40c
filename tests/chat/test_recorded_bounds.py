"""The upper bound of prompts, against the tokens that recorded calls took, and against what was held without it."""

from functools import cache
from statistics import median
from typing import NamedTuple

from tests.policy.heard import Heard, heard
from tests.providers.calls import built
from tests.providers.recorded import all_needed, dialect
from tidegate.chat.body_bound import bound_body
from tidegate.providers import Registry


class Bounded(NamedTuple):
    call: Heard
    bound: int
    growth: float


@cache
def bounded() -> tuple[Bounded, ...]:
    """The recorded calls without searches, the bound of the body that is sent, and the growth of the hold by it."""
    return tuple(_bounded(call) for call in heard() if call.kind != "search")


def _bounded(call: Heard) -> Bounded:
    name = call.exchange.provider
    provider = dialect(name) if call.exchange.endpoint == "chat/completions" else Registry().load(name)
    body = built(provider, call.request.body, call.exchange.model).body
    before, now = (call.request.worst_case(None, sent).input for sent in (b"{}", body))
    return Bounded(call, bound_body(body).input, now / before)


@all_needed
def test_no_long_prompt_took_more_than_its_bound() -> None:
    long = [one for one in bounded() if one.call.kind == "text" and one.call.request.estimate_prompt() > 500]
    ratios = sorted(one.bound / one.call.input for one in long)
    assert len(ratios) == 39
    assert ratios[0] >= 1
    assert median(ratios) < 1.8


@all_needed
def test_holds_are_hardly_higher_than_without_the_bound() -> None:
    growth = sorted(one.growth for one in bounded())
    assert growth[0] >= 1
    assert median(growth) == 1
    assert growth[int(0.95 * len(growth))] <= 1.1
    long = [one.growth for one in bounded() if one.call.kind == "text" and one.call.request.estimate_prompt() > 1_000]
    assert median(long) <= 1.05
