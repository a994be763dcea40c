"""What a store says after many calls: records, counters and accounts must tell the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tests.store_worlds import World
from tidegate.domain.account import Account, AccountScope
from tidegate.domain.limits import SPANS, UNITS, Amounts, booking_name, period_at
from tidegate.domain.record import counter_periods

_Row: TypeAlias = Mapping[str, object]

MAX_RECORDS = 10_000


async def balanced(world: World, *scopes: AccountScope) -> Counter[str]:
    """How many calls ended how, once it is sure that everything adds up: nothing is lost, nothing is there twice."""
    workspace_id = scopes[0].id
    records = await world.usages.records(workspace_id, "", "Z", MAX_RECORDS)
    assert len({record["id"] for record in records}) == len(records) < MAX_RECORDS
    for name in {name for record in records for name in counter_periods(_at(record))}:
        counters = await world.usages.counters(workspace_id, name)
        assert counters is not None
        mine = [record for record in records if name in counter_periods(_at(record))]
        assert counters["calls"] == len(mine)
        assert _used(counters) == _sum(map(_used, mine)), name
    for scope in scopes:
        if not scope.limits.need_reservation:
            continue
        account = await world.ledger.account(scope)
        assert {name: value for name, value in account.booked.items() if value} == _booked(records, account)
    return Counter(str(record["status"]) for record in records)


def _booked(records: Sequence[_Row], account: Account) -> Mapping[str, object]:
    """What the account must have booked: what its records say, and what it holds yet."""
    found: Counter[str] = Counter()
    held = [(hold.at, hold.amounts) for hold in account.holds.values()]
    for at, amounts in [*((_at(record), _used(record)) for record in records), *held]:
        for unit in UNITS:
            for span in SPANS:
                found[booking_name(unit, period_at(span, at).name)] += amounts.of(unit)  # type: ignore[assignment]
    return {name: value for name, value in found.items() if value}


def _at(record: _Row) -> float:
    return datetime.fromisoformat(str(record["time"])).timestamp()


def _used(item: _Row) -> Amounts:
    tokens = sum(int(str(item.get(name, 0))) for name in ("input_tokens", "output_tokens"))
    return Amounts(tokens, int(str(item.get("words", 0))), Decimal(str(item.get("cost_usd") or 0)))


def _sum(amounts: "map[Amounts]") -> Amounts:
    each = list(amounts)
    return Amounts(sum(a.tokens for a in each), sum(a.words for a in each), sum((a.usd for a in each), Decimal(0)))
