"""The meter of a part of a batch: collects the outcomes of its lines, which are settled together."""

import asyncio

from msgspec import Struct

from tidegate.batch.part_ledger import PartLedger
from tidegate.domain.batch import BatchUsage
from tidegate.domain.call import Outcome
from tidegate.domain.record import quantize_usd
from tidegate.domain.settlement import NO_COST


class EndedCall(Struct, frozen=True, gc=False):
    """The outcome of a call that has ended, and its usage."""

    outcome: Outcome
    usage: BatchUsage


class PartMeter:
    """The port `Meter` for the lines of a part. No line has a record of its own."""

    records_at_once = False

    def __init__(self, ledger: PartLedger) -> None:
        self._ledger = ledger
        self._ended: dict[str, EndedCall] = {}

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`: the outcome is kept for `take_ended`, and its part of the hold is given back.

        Lines that end at the same time all end before one goes on: so they go on record together.
        """
        call_id, usage = outcome.call.id, line_usage(outcome)
        self._ledger.end_line(call_id, usage.amounts)
        self._ended[call_id] = EndedCall(outcome, usage)
        await asyncio.sleep(0)

    def take_ended(self, call_id: str) -> EndedCall | None:
        """A call that has ended, once; None if it has not."""
        return self._ended.pop(call_id, None)


def line_usage(outcome: Outcome) -> BatchUsage:
    """The usage of one call of a line, which is counted neither as completed nor as failed: it may be asked again."""
    tokens, words, cost = outcome.bill.tokens, outcome.bill.words, outcome.bill.cost_usd
    # By position, in the order of `BatchUsage`: names would take longer.
    return BatchUsage(
        0,  # completed
        0,  # failed
        0,  # lost
        tokens.input,
        tokens.cached,
        tokens.written,
        tokens.output,
        tokens.reasoning,
        tokens.searches,
        words.used,
        words.input,
        int(cost is None),
        quantize_usd(cost) if cost else NO_COST,
        int(outcome.status == "cached"),
    )
