"""What clients see of each fault, and what it costs, as the document that a test holds."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.faults.faults import FAULTS, Fault
from tests.faults.measuring import Case, Found
from tidegate.domain.record import plain_decimal

DOCUMENT = Path(__file__).parents[2] / "docs" / "FAULTS.md"

_INTRODUCTION = """\
# Faults

Written by `python -m tests.faults --write`; a test fails when it is not current. Each row was found by a call over HTTP
to a gateway with the usual settings, whose provider is a real server that does what the row says: to every request, or
to the first one only. Where the row is of silence, `TIDEGATE_TIMEOUTS` says one second instead of what is usual.

- **the client sees**: the status, and the error's `code`; of a stream that has begun, the error event that ends it.
  Such a stream has no finish reason and no `[DONE]`; every other one has both.
- **asked**: how often the provider was asked, and the longest that each pause before that may have been. Pauses are
  drawn between nothing and that (full jitter), but never shorter than what the provider asked for. After the first word
  nothing is asked again. Only a connection that has died while nobody called its provider for two seconds is replaced
  at once, and that is no attempt.
- **metered**: the call's record: its status, the tokens of the prompt and of the answer (`~`: estimated, since the
  provider did not say), and their price.
- **when it passes**: what the client sees when only the first request meets the fault.
"""

_STAGES = {
    "connecting": "Connecting",
    "before the head": "Before the head of the reply",
    "before the first word": "After the head, before the first word",
    "midway": "Midway: in half of a plain reply, or after the first word of a stream",
}

_TOLD = ("retry-after", "retry-after-ms", "x-should-retry")


def render(found: dict[Case, Found]) -> str:
    """The document."""
    return "\n".join([_INTRODUCTION, *_sections(found)]) + "\n"


def _sections(found: dict[Case, Found]) -> Iterator[str]:
    for stage, faults in groupby(FAULTS, lambda fault: fault.stage):
        yield from (f"## {_STAGES[stage]}", "")
        yield "| fault | reply | the client sees | asked | metered | when it passes |"
        yield "|---|---|---|---|---|---|"
        for fault in faults:
            for reply, cells in _rows(fault, found):
                yield f"| {fault.name} | {reply} | {' | '.join(cells)} |"
        yield ""


def _rows(fault: Fault, found: dict[Case, Found]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """One row for both kinds of reply where they are the same."""
    kinds = {
        kind: _cells(found[case], found.get(Case(fault, stream, True)))
        for kind, stream in (("plain", False), ("stream", True))
        if (case := Case(fault, stream, False)) in found
    }
    if len(kinds) == 2 and len(set(kinds.values())) == 1:
        yield "both", kinds["plain"]
    else:
        yield from kinds.items()


def _cells(lasting: Found, once: Found | None) -> tuple[str, ...]:
    seen = _seen(lasting)
    passed = "" if once is None else _seen(once)
    return seen, _asked(lasting), _metered(lasting), "the same" if passed == seen else passed


def _seen(each: Found) -> str:
    error, seen = each.seen.error, each.seen
    told = "".join(f", `{name}: {seen.headers[name]}`" for name in _TOLD if name in seen.headers)
    if error is None:
        return f"`{seen.status}`, the whole answer{told}"
    began = "the first word, then the error " if seen.status == 200 else ""
    return f"`{seen.status}`, {began}`{error['code']}`{told}"


def _asked(each: Found) -> str:
    attempts = each.record["attempts"]
    requests = f", by {each.asked} requests" if each.asked > attempts else ""
    pauses = ", ".join(f"{seconds:g} s" for seconds in each.waits)
    return f"{attempts}×{requests}" + (f" ({pauses})" if pauses else "")


def _metered(each: Found) -> str:
    record = each.record
    tokens = record["input_tokens"], record["output_tokens"]
    if not any(tokens):
        return f"{record['status']}: nothing"
    about = "~" if record["estimated"] else ""
    return (
        f"{record['status']}: {about}{tokens[0]} + {about}{tokens[1]} tokens, {plain_decimal(record['cost_usd'])} USD"
    )
