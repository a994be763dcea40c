"""The result of repricing a range of calls, as JSON and with words of caution."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct, convert

from tidegate.catalog.prices import CostPart
from tidegate.domain.aggregate import OTHER
from tidegate.domain.money import exact_money
from tidegate.domain.record import iso_time, plain_decimal
from tidegate.domain.usage import TokenCounts

Problem = Literal["unknown_model", "no_price"]

TOKEN_KINDS = ("input", "output", "cached", "written", "reasoning", "searches")
"""The counts that aggregates have. Tokens of audio and of images are among those of text."""


class RecordedModel(Struct, frozen=True):
    """Usage and recorded cost of the calls that a model has answered. `cost_usd` leaves out the `unpriced` calls.

    `list_cost_usd` is the cost of these tokens at the model's own list price; None with a `problem`.
    """

    model: str
    calls: int
    unpriced: int
    tokens: TokenCounts
    cost_usd: Decimal
    list_cost_usd: Decimal | None
    problem: Problem | None


class RepricedModel(Struct, frozen=True):
    """The cost of all calls on another model, by kind of token, and by the model that has answered them.

    `cost_usd` is None with a `problem`. `has_tiers`: long prompts cost more on this model.
    """

    model: str
    cost_usd: Decimal | None
    parts: Sequence[CostPart] = ()
    by_model: Mapping[str, Decimal] = {}
    has_tiers: bool = False
    problem: Problem | None = None


class Repricing(Struct, frozen=True):
    """The recorded cost of a range, in UTC seconds, and what it would have been. `cached` calls are not in it."""

    since: float
    until: float
    cached: int
    recorded: Sequence[RecordedModel]
    models: Sequence[RepricedModel]

    @property
    @exact_money
    def cost_usd(self) -> Decimal:
        return sum((each.cost_usd for each in self.recorded), Decimal(0))

    @exact_money
    def to_json(self) -> dict[str, object]:
        """Return the repricing as JSON: times in ISO 8601, money as text."""
        return {
            "from": iso_time(self.since),
            "to": iso_time(self.until),
            "calls": sum(each.calls for each in self.recorded),
            "cached": self.cached,
            "unpriced": sum(each.unpriced for each in self.recorded),
            "cost_usd": plain_decimal(self.cost_usd),
            "tokens": _tokens_json(sum_tokens(self.recorded)),
            "recorded": [_recorded_json(each) for each in self.recorded],
            "models": [_repriced_json(each, self.cost_usd) for each in self.models],
            "cautions": [{"code": code, "message": message} for code, message in _cautions(self)],
        }


def sum_tokens(recorded: Sequence[RecordedModel]) -> TokenCounts:
    """Return the tokens of all models together."""
    return token_counts(lambda kind: sum(getattr(each.tokens, kind) for each in recorded))


def token_counts(count_of: Callable[[str], int]) -> TokenCounts:
    """Return the counts that a function knows of each of `TOKEN_KINDS`."""
    return convert({kind: count_of(kind) for kind in TOKEN_KINDS}, TokenCounts)


def _cautions(repricing: Repricing) -> Iterator[tuple[str, str]]:
    """Yield what the amounts do not tell, each with a code."""
    yield (
        "tokenizers",
        "Tokens are those that the answering models have counted. Another model counts the same text differently, and "
        "writes and reasons more or less.",
    )
    yield "list_prices", "List prices of today, without service tiers, discounts and the prices of batches."
    tokens, recorded = sum_tokens(repricing.recorded), repricing.recorded
    if tokens.cached or tokens.written:
        yield (
            "prompt_cache",
            "Tokens of prompt caches are priced as such where the model has a price for them, and else as input. "
            "Another provider caches other prompts.",
        )
    if tiers := [each.model for each in repricing.models if each.has_tiers]:
        yield "long_prompts", f"Long prompts cost more on {', '.join(tiers)}: sums do not tell how many there were."
    if repricing.cached:
        yield "cached", f"{repricing.cached:,} calls were answered from the gateway's cache, and are left out."
    if unpriced := sum(each.unpriced for each in recorded):
        yield "unpriced", f"{unpriced:,} calls have no recorded cost: their tokens are repriced, but cost nothing here."
    if unknown := [each.model for each in recorded if each.problem and each.model != OTHER]:
        yield "no_list_price", f"Without a list price of their own: {', '.join(unknown)}."
    if any(each.model == OTHER for each in recorded):
        yield "other", "Aggregates keep the names of 200 models; the calls of all others are those of `other`."
    if lacking := [each.model for each in repricing.models if each.problem]:
        yield "not_repriced", f"Unknown to the catalogue, or without a price there: {', '.join(lacking)}."


def _tokens_json(tokens: TokenCounts) -> dict[str, int]:
    return {kind: getattr(tokens, kind) for kind in TOKEN_KINDS}


def _recorded_json(recorded: RecordedModel) -> dict[str, object]:
    return {
        "model": recorded.model,
        "calls": recorded.calls,
        "unpriced": recorded.unpriced,
        "tokens": _tokens_json(recorded.tokens),
        "cost_usd": plain_decimal(recorded.cost_usd),
        "list_cost_usd": _money(recorded.list_cost_usd),
        "problem": recorded.problem,
    }


def _repriced_json(model: RepricedModel, recorded_usd: Decimal) -> dict[str, object]:
    return {
        "model": model.model,
        "cost_usd": _money(model.cost_usd),
        "difference_usd": None if model.cost_usd is None else plain_decimal(model.cost_usd - recorded_usd),
        "parts": [
            {
                "kind": part.kind,
                "count": part.count,
                "rate_usd": plain_decimal(part.rate_usd),
                "cost_usd": plain_decimal(part.cost_usd),
            }
            for part in model.parts
        ],
        "by_model": [{"name": name, "cost_usd": plain_decimal(cost)} for name, cost in model.by_model.items()],
        "problem": model.problem,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_decimal(amount)
