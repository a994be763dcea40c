"""Events of a call, in the order in which they happen, and the timeline: the short text of them in its record."""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

EventKind = Literal[
    "authenticated",
    "received",
    "queued",
    "cache",
    "guardrails",
    "reserved",
    "shortened",
    "attempt",
    "failed",
    "first_token",
    "last_token",
    "skipped",
    "settled",
]
AttemptReason = Literal["first", "retry", "fallback", "hedge", "trial"]

TO_WHOLE = 1.5 * 2.0**52
"""Floats of its size are whole numbers: `x + TO_WHOLE - TO_WHOLE` is `round(x)`, in a tenth of the time.

For numbers between -2**51 and 2**51: seconds or milliseconds since 1970, and microseconds of 71 years.
"""

MAX_TIMELINE_EVENTS = 48
"""Events in a timeline. A call with many attempts has more: the timeline leaves out the middle."""

_FIRST_EVENTS = MAX_TIMELINE_EVENTS - 17

_NAMES: dict[EventKind, str] = {
    "authenticated": "auth",
    "received": "body",
    "queued": "wait",
    "cache": "cache",
    "guardrails": "guard",
    "reserved": "hold",
    "shortened": "cut",
    "attempt": "try",
    "failed": "fail",
    "first_token": "first",
    "last_token": "last",
    "skipped": "skip",
    "settled": "end",
}
"""The names of events in a timeline. They are short: DynamoDB writes a record of less than 1 KB as one unit."""

_KINDS: dict[str, EventKind] = {name: kind for kind, name in _NAMES.items()}


class _Texts(dict[float, str]):
    """The texts of events of one name, by their whole milliseconds: "auth@2". Those of the first second are kept."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, milliseconds: float) -> str:
        text = f"{self._name}@{int(milliseconds)}"
        if 0 <= milliseconds < 1000:
            self[milliseconds] = text
        return text


_TEXTS = {kind: _Texts(name) for kind, name in _NAMES.items()}
_OF_DEPLOYMENTS = frozenset[EventKind]({"attempt", "failed"})


class CallEvent(Struct, frozen=True, gc=False):
    """One event, `seconds` after the call's start.

    | kind | `detail` | `deployment` |
    |---|---|---|
    | authenticated | | |
    | received: the body is read and valid | | |
    | queued: it begins to wait | `equal_call` or `retry_delay` | |
    | cache | `hit`, `miss`, `bypass` or `replay` | |
    | guardrails: they have checked | `input` or `output` | |
    | reserved | | |
    | shortened: a limit allows a shorter answer only | its `max_tokens` | |
    | attempt: a request is sent | its `AttemptReason` | its display name |
    | failed | the error's code | its display name |
    | first_token, last_token | | |
    | skipped: a timeline leaves events out | how many | |
    | settled: the call has ended, and is recorded | | |

    `lasted_seconds` is the time of an attempt that failed.
    """

    seconds: float
    kind: EventKind
    detail: str = ""
    deployment: str = ""
    lasted_seconds: float = 0.0


def format_timeline(events: Sequence[CallEvent], own_deployment: str = "") -> str:
    """Return the events as one line: "auth@2 try@4:first:openai/gpt-4o fail@80:provider_timeout:openai/gpt-4o end@98".

    Times are in milliseconds. Events of `own_deployment`, the one that the record names, are written without its name.
    """
    if len(events) > MAX_TIMELINE_EVENTS:
        cut, rest = events[_FIRST_EVENTS], len(events) - MAX_TIMELINE_EVENTS + 1
        skipped = CallEvent(cut.seconds, "skipped", str(rest))
        events = [*events[:_FIRST_EVENTS], skipped, *events[_FIRST_EVENTS + rest :]]
    return " ".join(
        [
            _format_details(event, own_deployment)
            if event.detail or event.deployment
            else _TEXTS[event.kind][event.seconds * 1e3 + TO_WHOLE - TO_WHOLE]
            for event in events
        ]
    )


def parse_timeline(timeline: str, own_deployment: str = "") -> Iterator[CallEvent]:
    """Yield the events of a timeline. Skips what it cannot read."""
    for text in timeline.split():
        name, _, rest = text.partition("@")
        milliseconds, _, rest = rest.partition(":")
        detail, _, deployment = rest.partition(":")
        if name in _KINDS and milliseconds.lstrip("-").isdecimal():
            kind = _KINDS[name]
            deployment = deployment.replace("%20", " ") or (own_deployment if kind in _OF_DEPLOYMENTS else "")
            yield CallEvent(int(milliseconds) / 1000, kind, detail, deployment)


def _format_details(event: CallEvent, own_deployment: str) -> str:
    """Return an event that has a detail or a deployment. A model's name is the caller's choice, and may have blanks."""
    text, deployment = _TEXTS[event.kind][event.seconds * 1e3 + TO_WHOLE - TO_WHOLE], event.deployment
    if deployment and deployment != own_deployment:
        return f"{text}:{event.detail}:{'%20'.join(deployment.split())}"
    return f"{text}:{event.detail}" if event.detail else text
