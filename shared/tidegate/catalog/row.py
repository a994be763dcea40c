"""One row of the catalogue: a model, its limits and its prices."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from tidegate.domain.money import MONEY

ReasoningMode = Literal["none", "switch", "effort", "budget", "adaptive", "always"]
"""How a request controls a model's reasoning: not possible, on or off, by a level, by a token budget, by a level that
the model adapts to the task, or not needed because the model always reasons.
"""

PRICE_OPTIONS = ("service_tier", "speed", "inference_geo")
"""The fields of a request, and of its reply, whose values have prices of their own in the catalogue."""

_USUAL_VALUES = frozenset({"auto", "default", "standard", "standard_only", "on_demand", "global", "not_available"})
"""Values of these fields at the usual price. The operator's settings at the provider decide what "auto" is."""

_CHEAP_VALUES = frozenset({"flex"})
"""Values at a lower price, which counts only if the provider says in its reply that it has used it."""

_MILLION = Decimal(1_000_000)

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Rates(Struct, frozen=True):
    """USD per million tokens; `request` and `search` are USD per thousand. None is unknown, 0 is known to be free."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    written: Decimal | None = None
    written_1h: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    audio_cached: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    request: Decimal | None = None
    search: Decimal | None = None


class PriceTier(Rates, frozen=True):
    """The rates of the whole call if its input is longer than `above` tokens."""

    above: int = 0


class TextRates(Struct, frozen=True, gc=False):
    """The rates of a price for calls that only read and write text, as integers.

    The products of counts and rates, divided by `divisor`, are USD.
    """

    input: int
    cached: int
    output: int
    divisor: Decimal


class Price(Rates, frozen=True, dict=True):
    """A model's rates, from the day `since` on, or between two minutes of the day: [60, 240] is 1:00 to 4:00 UTC."""

    tiers: tuple[PriceTier, ...] = ()
    since: date | None = None
    between: tuple[int, int] | None = None

    @cached_property
    def text_rates(self) -> TextRates | None:
        """None for a price that has tiers, a rate for each request, or no rate of the input or the output.

        The rates are scaled by the power of ten that makes integers of them, which is in the exponent of `divisor`: a
        cost then has as many decimal places as the sum of products of Decimals.
        """
        if self.tiers or self.request or self.input is None or self.output is None:
            return None
        rates = (self.input, self.input if self.cached is None else self.cached, self.output)
        places = max(0, *(-int(rate.as_tuple().exponent) for rate in rates))
        input, cached, output = [int(rate.scaleb(places, MONEY)) for rate in rates]
        return TextRates(input, cached, output, _MILLION.scaleb(places, MONEY))


class CatalogModel(Struct, frozen=True):
    """One model. Limits are in tokens. Unknown fields are None or empty; `parameters` have OpenRouter's names.

    `outputs` are "text", "image" and "audio" of a model for chat; "embeddings", "rerank" or "moderation" of others.
    `dimensions` is the length of the vectors that it makes unless a request asks for others.

    `source` is the source of names, windows and prices; the sources of all other fields are in `families.json`. The
    first of `prices` was in force on the day `checked`; the last one that applies to a call is charged.

    `variants` are the prices for options of a request, by "service_tier=priority" and the like. `factors` multiply the
    price of all tokens: {"inference_geo=us": 1.1}. An option that is in neither has no known price.
    """

    id: str
    name: str
    source: str
    checked: date
    context_window: int | None = None
    output_limit: int | None = None
    dimensions: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reasoning: ReasoningMode | None = None
    parameters: tuple[str, ...] = ()
    deprecated: bool = False
    prices: tuple[Price, ...] = ()
    variants: dict[str, Price] = {}
    factors: dict[str, Decimal] = {}

    @property
    def can_reason(self) -> bool:
        """True if the model is known to reason, always or on request."""
        return self.reasoning not in (None, "none")

    @property
    def provider(self) -> str:
        return self.id.partition("/")[0]


class DeclaredModel(Struct, frozen=True):
    """A model that the operator declares for a provider in `TIDEGATE_PROVIDERS`.

    `name` is the provider's own name, and `aliases` are other names for it. Fields that are None or empty are those of
    the catalogue's row, if it has one.
    """

    name: str
    aliases: tuple[str, ...] = ()
    context_window: int | None = None
    output_limit: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reasoning: ReasoningMode | None = None
    parameters: tuple[str, ...] = ()
    prices: Price | None = None


def price_options(requested: Mapping[str, object], reported: Mapping[str, object] = _NOTHING) -> tuple[str, ...]:
    """List what is charged at a price of its own, such as "service_tier=priority".

    A value that the provider `reported` in its reply counts, and without one the value that the caller `requested`.
    """
    options: list[str] = []
    for name in PRICE_OPTIONS:
        if name not in reported and name not in requested:
            continue
        reported_value = reported.get(name)
        value = reported_value or requested.get(name)
        if not isinstance(value, str) or value in _USUAL_VALUES:
            continue
        if value not in _CHEAP_VALUES or value == reported_value:
            options.append(f"{name}={value}")
    return tuple(options)
