"""One row of the catalogue: a model, its limits and its prices."""

from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

ReasoningMode = Literal["none", "switch", "effort", "budget", "adaptive", "always"]
"""How a request controls a model's reasoning: not possible, on or off, by a level, by a token budget, by a level that
the model adapts to the task, or not needed because the model always reasons.
"""


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


class Price(Rates, frozen=True):
    """A model's rates, from the day `since` on, or between two minutes of the day: [60, 240] is 1:00 to 4:00 UTC."""

    tiers: tuple[PriceTier, ...] = ()
    since: date | None = None
    between: tuple[int, int] | None = None


class CatalogModel(Struct, frozen=True):
    """One model. Limits are in tokens. Unknown fields are None or empty; `parameters` have OpenRouter's names.

    `source` is the source of names, windows and prices; the sources of all other fields are in `families.json`. The
    first of `prices` was in force on the day `checked`; the last one that applies to a call is charged.
    """

    id: str
    name: str
    source: str
    checked: date
    context_window: int | None = None
    output_limit: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reasoning: ReasoningMode | None = None
    parameters: tuple[str, ...] = ()
    deprecated: bool = False
    prices: tuple[Price, ...] = ()

    @property
    def can_reason(self) -> bool:
        """True if the model is known to reason, always or on request."""
        return self.reasoning not in (None, "none")

    @property
    def provider(self) -> str:
        return self.id.partition("/")[0]
