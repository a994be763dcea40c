"""The cost that a provider reports, where its hosts and extras have prices that the catalogue cannot know.

Sources: https://openrouter.ai/docs/use-cases/usage-accounting (`usage.cost` in credits, which are USD),
https://docs.perplexity.ai/api-reference/chat-completions-post (`usage.cost.total_cost` in USD); read in 2026-11.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from msgspec.structs import replace

from tidegate.catalog import CatalogModel
from tidegate.domain.usage import Bill, Usage

PROVIDERS = frozenset({"openrouter", "perplexity"})
"""Providers that choose among hosts, or charge for more than tokens and searches, and report their charges in USD."""

MAX_BELIEVED_USD = 100
"""A higher cost of one call is not believed: the catalogue's price holds."""


def at_least_reported(bill: Bill, usage: Usage, model: CatalogModel) -> Bill:
    """Return the bill with the provider's own cost if that is higher: the host was dearer, or an extra was charged."""
    if bill.cost_usd is None or model.provider not in PROVIDERS:
        return bill
    cost = cast("Mapping[str, object]", usage).get("provider_cost")
    if isinstance(cost, dict):
        cost = cast("Mapping[str, object]", cost).get("total_cost")
    if type(cost) not in (int, float) or not 0 < cast("float", cost) <= MAX_BELIEVED_USD:
        return bill
    return replace(bill, cost_usd=max(bill.cost_usd, Decimal(str(cost))))
