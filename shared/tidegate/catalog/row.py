"""One row of the catalogue: a model, its limits and its prices."""

from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

ReasoningMode = Literal["none", "switch", "effort", "budget", "adaptive", "always"]
"""How a model is asked to reason: not at all, on or off, by a level, by a budget of tokens, by a level that it follows
as it sees fit, or not asked because it always does.
"""


class Rates(Struct, frozen=True):
    """USD per million tokens; `request` and `search` are per thousand. None is unknown, 0 is known to be free."""

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
    """The rates of the whole call once its input is longer than `above` tokens."""

    above: int = 0


class Price(Rates, frozen=True):
    """One model's rates, from a day on, or between two minutes of the day: [60, 240] is 1:00 to 4:00 UTC."""

    tiers: tuple[PriceTier, ...] = ()
    since: date | None = None
    between: tuple[int, int] | None = None


class CatalogModel(Struct, frozen=True):
    """One model. Limits are in tokens, None where no source states them; modalities are empty where unknown, and so are
    `parameters`, which have OpenRouter's names; `reasoning` is None where unknown.

    `source` is that of names, windows and prices; what else a row says has its source in `families.json`. Of `prices`,
    the first was in force on the day `checked`; the last one that applies to a call counts.
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
        """Whether it is known to reason, be it only when asked."""
        return self.reasoning not in (None, "none")

    @property
    def provider(self) -> str:
        return self.id.partition("/")[0]
