"""Rows for names that the catalogue does not have: other spellings, suffixes of routers, hosts left to the router.

Loaded only for names that the catalogue does not find. Sources, read in 2026-11:
https://openrouter.ai/docs/guides/routing/model-variants/overview (a suffix such as `:nitro` keeps the model and chooses
among its hosts), https://openrouter.ai/docs/web-search (`:online`, also after another suffix: USD 4 for a thousand
results, five results for each request), https://huggingface.co/docs/inference-providers (`model:host`).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from msgspec.structs import replace

from tidegate.catalog.row import CatalogModel
from tidegate.domain.model_names import plain_model_id

_USD_PER_THOUSAND_BY_SUFFIX = {"online": Decimal(20)}
"""OpenRouter's fees for a suffix, for a thousand requests."""

Lookup = Callable[[str], CatalogModel | None]


def find_by_other_name(model_id: str, find: Lookup, ids: Iterable[str]) -> CatalogModel | None:
    """Return the row of the model that the provider reads in `model_id`; None if the catalogue does not have it.

    `find` looks up an exact `provider/model`; `ids` are those of all models, in lower case.
    """
    plain = plain_model_id(model_id)
    found = find(plain)
    if found is None and plain.startswith("openrouter/"):
        return _without_suffix(plain, find)
    if found is None and plain.startswith("huggingface/"):
        return _dearest_host(plain, find, ids)
    return found


def _without_suffix(plain: str, find: Lookup) -> CatalogModel | None:
    """Return the model before OpenRouter's suffixes, with the fee for each of them."""
    fee, found = Decimal(0), None
    while found is None and ":" in plain:
        plain, _, suffix = plain.rpartition(":")
        fee += _USD_PER_THOUSAND_BY_SUFFIX.get(suffix, 0)
        found = find(plain)
    if found is None or not fee:
        return found
    return replace(found, prices=tuple(replace(price, request=(price.request or 0) + fee) for price in found.prices))


def _dearest_host(plain: str, find: Lookup, ids: Iterable[str]) -> CatalogModel | None:
    """Return the model at its dearest host, for a name that leaves the host to Hugging Face, or has an unknown one."""
    start = plain.partition(":")[0] + ":"
    hosts = [row for name in ids if name.startswith(start) and (row := find(name)) is not None and row.prices]
    return max(hosts, key=_base_price, default=None)


def _base_price(row: CatalogModel) -> Decimal:
    return (row.prices[0].input or Decimal(0)) + (row.prices[0].output or Decimal(0))
