"""Works on accounts between calls: joins the shards of one, divides an amount among them, and finds overdue holds."""

from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from tidegate.domain.account import MINUTE_SLOTS, MONEY_DECIMALS, Account, Hold, add_amounts, add_minute_tokens
from tidegate.domain.limits import Number
from tidegate.domain.money import exact_money


def merge_shards(shards: Sequence[Account]) -> Account:
    """One account of all shards: amounts are added, the minute is the latest, thresholds are the first shard's."""
    merged = Account(minute=max((shard.minute for shard in shards), default=0))
    merged.alerted_thresholds = dict(shards[0].alerted_thresholds) if shards else {}
    for shard in shards:
        merged.holds.update(shard.holds)
        add_amounts(merged.booked, shard.booked)
        if shard.minute == merged.minute:
            merged.minute_calls += shard.minute_calls
            add_minute_tokens(merged, merged.minute, shard.minute_tokens.get(merged.minute % MINUTE_SLOTS, 0))
    return merged


@exact_money
def part_of_shard(amount: Number, shards: int) -> Number:
    """The amount divided by the number of shards, rounded up."""
    if shards == 1:
        return amount
    if isinstance(amount, Decimal):
        return (amount / shards).quantize(Decimal(1).scaleb(-MONEY_DECIMALS), ROUND_UP)
    return -(-amount // shards)


def overdue_holds(account: Account, now: float) -> list[Hold]:
    """The holds of calls whose process has died, oldest first."""
    return sorted((hold for hold in account.holds.values() if hold.expires_at < now), key=lambda hold: hold.at)
