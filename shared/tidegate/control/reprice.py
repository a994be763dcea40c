"""Repricing: the tokens of a workspace's calls at the list prices of other models, from aggregates."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from tidegate.catalog import Catalog, CatalogModel, load_catalog
from tidegate.catalog.prices import CostPart, cost_parts_of_sum
from tidegate.control.aggregate_range import check_range, read_aggregates
from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control
from tidegate.control.overview_figures import sums_of
from tidegate.control.reprice_report import (
    Problem,
    RecordedModel,
    RepricedModel,
    Repricing,
    sum_tokens,
    token_counts,
)
from tidegate.domain.aggregate import CELL_DIMENSIONS, OTHER, Aggregate
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.money import exact_money
from tidegate.errors import InvalidRequest

MAX_TARGETS = 20

_STATUS = CELL_DIMENSIONS.index("status")


async def reprice(
    control: Control,
    actor: AdminKey,
    workspace_id: str,
    models: Sequence[str],
    since: float | None = None,
    until: float | None = None,
) -> Repricing:
    """Price the tokens of a range at the list prices of other models; by default, of this month.

    A name without a provider is looked up like a call's. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`.
    """
    if len(models) > MAX_TARGETS:
        raise InvalidRequest(f"Name at most {MAX_TARGETS} models.", param="model")
    workspace = await find_workspace(control, actor, workspace_id)
    now = control.clock()
    since, until, _ = check_range(now, _first_of_month(now) if since is None else since, until, "day")
    total = Aggregate()
    async for _, aggregate in read_aggregates(control.aggregates, workspace.id, since, until, "day"):
        total.add(aggregate)
        await asyncio.sleep(0)  # calls in the same process go on
    catalog = load_catalog()
    answered = Aggregate({cell: sums for cell, sums in total.sums.items() if cell[_STATUS] != "cached"})
    recorded = [_recorded(catalog, name, group) for name, group in answered.group("model").items()]
    recorded.sort(key=lambda each: (-each.cost_usd, each.model))
    repriced = [_repriced(catalog, name, recorded) for name in dict.fromkeys(models)]
    return Repricing(since, until, total.calls - answered.calls, recorded, repriced)


def _first_of_month(at: float) -> float:
    return datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def _recorded(catalog: Catalog, name: str, group: Aggregate) -> RecordedModel:
    sums = sums_of(group)
    calls, unpriced = int(str(sums["calls"])), int(str(sums["unpriced"]))
    tokens = token_counts(lambda kind: int(str(sums[kind if kind == "searches" else f"{kind}_tokens"])))
    own = None if name == OTHER else catalog.find_model(name)
    parts = None if own is None else cost_parts_of_sum(own, tokens, calls)
    problem = _problem(own, parts)
    cost = Decimal(str(sums["cost_usd"]))
    return RecordedModel(name, calls, unpriced, tokens, cost, None if parts is None else _cost(parts), problem)


def _repriced(catalog: Catalog, name: str, recorded: Sequence[RecordedModel]) -> RepricedModel:
    found = catalog.find_model(name) or catalog.find_model(catalog.resolve_bare_name(name) or name)
    calls = sum(each.calls for each in recorded)
    parts = None if found is None else cost_parts_of_sum(found, sum_tokens(recorded), calls)
    if found is None or parts is None:
        return RepricedModel(found.id if found else name, None, problem=_problem(found, parts))
    by_model = {each.model: _cost(cost_parts_of_sum(found, each.tokens, each.calls) or ()) for each in recorded}
    has_tiers = any(price.tiers for price in found.prices)
    return RepricedModel(found.id, _cost(parts), parts, by_model, has_tiers)


def _problem(model: CatalogModel | None, parts: Sequence[CostPart] | None) -> Problem | None:
    if model is None:
        return "unknown_model"
    return "no_price" if parts is None else None


@exact_money
def _cost(parts: Sequence[CostPart]) -> Decimal:
    return sum((part.cost_usd for part in parts), Decimal(0))
