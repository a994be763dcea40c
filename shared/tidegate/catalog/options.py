"""The price of a model with options of a request, such as a service tier. Loaded only for calls that have some."""

from collections.abc import Iterable
from decimal import Decimal
from math import prod

from msgspec.structs import asdict, replace

from tidegate.catalog.row import CatalogModel, Price, PriceTier, Rates

_FLAT_RATES = ("request", "search")
"""Rates that are not for tokens: no factor applies to them."""

_RATES = tuple(name for name in Rates.__struct_fields__ if name not in _FLAT_RATES)


def with_options(row: CatalogModel, options: Iterable[str]) -> CatalogModel:
    """Return the row with the prices that hold for these options. An option without a known price changes nothing."""
    prices = row.prices
    for option in options:
        if option in row.variants:
            prices = (row.variants[option],)
    factor = prod((row.factors.get(option, Decimal(1)) for option in options), start=Decimal(1))
    if factor != 1:
        prices = tuple(_multiplied(price, factor) for price in prices)
    return replace(row, prices=prices)


def _multiplied(price: Price, factor: Decimal) -> Price:
    tiers = tuple(replace(tier, **_rates(tier, factor)) for tier in price.tiers)
    return replace(price, **_rates(price, factor), tiers=tiers)


def _rates(rates: Price | PriceTier, factor: Decimal) -> dict[str, Decimal]:
    return {name: value * factor for name, value in asdict(rates).items() if name in _RATES and value is not None}
