"""Settlements: the record, the increments of the counters, and the actual amounts of a call that has ended."""

from decimal import Decimal
from zlib import crc32

from msgspec import Struct

from tidegate.domain.account import Hold
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Amounts
from tidegate.domain.record import CallRecord, call_record, counter_increments, iso_time, quantize_usd
from tidegate.domain.usage import Bill, TokenCounts, WordCounts
from tidegate.domain.workspace import Workspace

NO_COST = quantize_usd(Decimal(0))
"""No money, with the decimal places of stored amounts."""


class Settlement(Struct, frozen=True, gc=False):
    """All that is written when a call ends. `actual` replaces `hold`; `at` is the call's start in UTC seconds."""

    workspace_id: str
    call_id: str
    at: float
    shard: int
    record: CallRecord
    increments: dict[str, int | Decimal]
    actual: Amounts
    hold: Hold | None


def build_settlement(outcome: Outcome) -> Settlement:
    """The settlement of a call that this process ended, whatever its status."""
    call, hold, bill, record = outcome.call, outcome.hold, outcome.bill, call_record(outcome)
    workspace, tokens, usd = call.workspace, bill.tokens, record.cost_usd  # with the decimal places of `billed_amounts`
    # By position, in the order of `Settlement`: names would take longer.
    return Settlement(
        workspace.id,
        call.id,
        call.started_at,
        shard_of(call.id, workspace.shards) if hold is None else hold.shard,
        record,
        counter_increments(record),
        Amounts(tokens.input + tokens.output, bill.words.used, NO_COST if usd is None else usd),
        hold,
    )


def billed_amounts(bill: Bill) -> Amounts:
    """The amounts that are booked for a call. A call without a price costs 0 USD."""
    usd = quantize_usd(bill.cost_usd) if bill.cost_usd else NO_COST
    return Amounts(bill.tokens.input + bill.tokens.output, bill.words.used, usd)


def held_bill(hold: Hold | None, workspace: Workspace) -> Bill:
    """The bill of a call whose own bill cannot be calculated or written: all that it holds.

    A call without a hold has an unknown cost and no counts.
    """
    if hold is None:
        unknown = TokenCounts(estimated=True, usage_fault="failed")
        return Bill(unknown, WordCounts(0, 0, 0, workspace.words_method), None)
    amounts, input = hold.amounts, hold.input_tokens
    tokens = TokenCounts(input=input, output=amounts.tokens - input, estimated=True, usage_fault="failed")
    return Bill(tokens, WordCounts(amounts.words, 0, amounts.words, workspace.words_method), amounts.usd)


def lost_settlement(hold: Hold, now: float) -> Settlement:
    """The settlement of a call whose process died. It is charged its full hold, because its usage is unknown."""
    amounts = hold.amounts
    output = amounts.tokens - hold.input_tokens
    provider, _, model = hold.model.partition("/")
    record = CallRecord(
        id=hold.call_id,
        time=iso_time(hold.at),
        model=hold.model,
        provider=provider,
        answered_model=model,
        status="lost",
        error_code="lost",
        input_tokens=hold.input_tokens,
        output_tokens=output,
        estimated=True,
        words=amounts.words,
        cost_usd=amounts.usd,
        seconds=round(now - hold.at, 6),
        workspace_id=hold.workspace_id,
        key_id=hold.key_id,
    )
    return Settlement(
        workspace_id=hold.workspace_id,
        call_id=hold.call_id,
        at=hold.at,
        shard=hold.shard,
        record=record,
        increments=counter_increments(record),
        actual=amounts,
        hold=hold,
    )


def shard_of(call_id: str, shards: int) -> int:
    """The shard of the workspace's account that a call uses, by a checksum of the call's id."""
    return crc32(call_id.encode()) % shards if shards > 1 else 0
