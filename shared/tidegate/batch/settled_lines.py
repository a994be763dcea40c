"""The parts of a settlement of many lines as one: fields of its record, counters, and the hold that it replaces."""

from decimal import Decimal

from msgspec.structs import replace

from tidegate.domain.account import AccountScope, Hold
from tidegate.domain.batch import BatchUsage
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.record import CallRecord, quantize_usd
from tidegate.ports import Ledger


class LinesRecord(CallRecord, frozen=True, gc=False, omit_defaults=True):
    """The record of many lines. `mode` is "provider_batch" if the provider ran them as a batch of its own."""

    lines: int | None = None
    lines_failed: int | None = None
    part: int | None = None
    mode: str | None = None


def lines_record(usage: BatchUsage) -> LinesRecord:
    """A record with the usage of its lines, and without other fields."""
    lines, cost_usd = usage.completed + usage.failed, quantize_usd(usage.cost_usd)
    record = LinesRecord(status="batch", lines=lines, lines_failed=usage.failed, cost_usd=cost_usd)
    return replace(record, **_tokens_and_words(usage))


def usage_increments(usage: BatchUsage) -> dict[str, int | Decimal]:
    """The amounts to add to the counters: those of as many calls as there were lines."""
    additions: dict[str, int | Decimal] = {
        "calls_ok": usage.completed - usage.cached,
        "calls_cached": usage.cached,
        "calls_failed": usage.failed,
        "calls_unpriced": usage.unpriced,
        **_tokens_and_words(usage),
        "cost_usd": quantize_usd(usage.cost_usd),
    }
    # DynamoDB refuses an update that changes nothing.
    return {"calls": usage.completed + usage.failed, **{name: value for name, value in additions.items() if value}}


async def find_booked_hold(ledger: Ledger, call_id: str, workspace_id: str, key_id: str, shards: int) -> Hold | None:
    """The hold of a call id as it is booked, whatever the limits are now; None if it is settled, or was never booked.

    The workspace's account has `shards`. An empty `key_id` has no account.
    """
    scopes = [AccountScope("workspace", workspace_id, NO_LIMITS, shards=shards)]
    if key_id:
        scopes.append(AccountScope("key", key_id, NO_LIMITS))
    for scope in scopes:
        account = await ledger.account(scope)
        if call_id in account.holds:
            return account.holds[call_id]
    return None


def _tokens_and_words(usage: BatchUsage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "written_tokens": usage.written_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "searches": usage.searches,
        "words": usage.words,
        "input_words": usage.input_words,
    }
