"""The meter of a part of a batch: collects the outcomes of its lines, which are settled together."""

from decimal import Decimal

from tidegate.batch.part_ledger import PartLedger
from tidegate.domain.batch import BatchUsage
from tidegate.domain.call import Outcome
from tidegate.domain.record import quantize_usd
from tidegate.domain.settlement import billed_amounts


class PartMeter:
    """The port `Meter` for the lines of a part. No line has a record of its own."""

    def __init__(self, ledger: PartLedger) -> None:
        self._ledger = ledger
        self._outcomes: dict[str, Outcome] = {}

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`: the outcome is kept for `take_outcome`, and its part of the hold is given back."""
        self._ledger.end_line(outcome.call.id, billed_amounts(outcome.bill))
        self._outcomes[outcome.call.id] = outcome

    def take_outcome(self, call_id: str) -> Outcome | None:
        """The outcome of a call, once; None if it has not ended."""
        return self._outcomes.pop(call_id, None)


def line_usage(outcome: Outcome) -> BatchUsage:
    """The usage of one call of a line, which is counted neither as completed nor as failed: it may be asked again."""
    tokens, words, cost = outcome.bill.tokens, outcome.bill.words, outcome.bill.cost_usd
    return BatchUsage(
        input_tokens=tokens.input,
        cached_tokens=tokens.cached,
        written_tokens=tokens.written,
        output_tokens=tokens.output,
        reasoning_tokens=tokens.reasoning,
        searches=tokens.searches,
        words=words.used,
        input_words=words.input,
        unpriced=int(cost is None),
        cost_usd=quantize_usd(cost or Decimal(0)),
        cached=int(outcome.status == "cached"),
    )
