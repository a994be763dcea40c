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

This page shows what a client gets, and what is billed, for every fault of a provider. `RELIABILITY.md` describes the
rules behind it. To play the faults again, and to write this page:

```sh
python -m tests.faults            # print what each fault becomes
python -m tests.faults --write    # write docs/FAULTS.md; a test fails if it is not current
```

## How to read it

- **the client sees**: the status and the `code` of the error. In a stream that has begun, it is the error event that
  ends the stream. Such a stream has no finish reason and no `[DONE]`; every other stream has both.
- **asked**: how many attempts there were, and in parentheses the longest possible pause before each retry. A pause is
  random, between zero and that time (full jitter), but never shorter than the provider demanded. After the first word
  there is no retry. Only a connection that died in two seconds without a call to its provider is replaced at once; this
  does not count as an attempt.
- **metered**: the status of the call's record, the tokens of the prompt and of the answer (`~`: estimated, because the
  provider did not report them), and their price. "estimated" alone: nothing was answered, but the provider may have
  worked, and charge for it; the estimate depends on the time that passed.
- **when it passes**: what the client sees if only the first request meets the fault.

Each row comes from a call over HTTP to a gateway with its default settings. The provider is a real server that does
what the row says: for every request, or only for the first one. For faults of silence, `TIDEGATE_TIMEOUTS` is one
second.
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
    if each.seen.status != 200 and record["input_tokens"]:
        return f"{record['status']}: estimated"  # it depends on the time that each attempt took
    about = "~" if record["estimated"] else ""
    return (
        f"{record['status']}: {about}{tokens[0]} + {about}{tokens[1]} tokens, {plain_decimal(record['cost_usd'])} USD"
    )
