"""Puts the halves of surrogate pairs together that a server has cut over two events of its stream.

A text that is cut by UTF-16 units ends with `\\ud83d`, and the next event's begins with `\\ude00`. JSON decoders of
official SDKs accept both. Source: RFC 8259 §7 (a character beyond U+FFFF is two escapes) and §8.2. Loaded for streams
with such escapes.
"""

import re
from collections.abc import Iterable, Iterator

from tidegate.providers.base import StreamEvent

_HIGH_AT_END = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    r"|(?P<half>\\u[dD][89abAB][\da-fA-F]{2})(?=\")|\\.",
    re.S,
)
_LOW_AT_START = re.compile(r"\"(?P<half>\\u[dD][c-fC-F][\da-fA-F]{2})|\\.", re.S)


class SurrogatePairs:
    """Holds back an event whose text ends with the first half of a pair, until the next event came."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: StreamEvent | None = None

    def join(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """Return the events that are complete, in their order."""
        joined: list[StreamEvent] = []
        for event in events:
            text = _text(event)
            if self._held is not None:
                if event.type == "ping" or not text.strip():
                    continue
                held, text = _move_half(_text(self._held), text)
                joined.append(StreamEvent(self._held.type, held))
                event, self._held = StreamEvent(event.type, text), None
            if any(_halves(_HIGH_AT_END, text)):
                self._held = event
            else:
                joined.append(event)
        return joined

    def end(self) -> list[StreamEvent]:
        """Return the event that waits for its second half in vain, if there is one."""
        held, self._held = self._held, None
        return [] if held is None else [held]


def _move_half(first: str, second: str) -> tuple[str, str]:
    """Move the half at the start of a text in `second` to its other half in `first`. Events have one cut text."""
    highs, lows = list(_halves(_HIGH_AT_END, first)), list(_halves(_LOW_AT_START, second))
    if len(highs) != 1 or len(lows) != 1:
        return first, second
    high, low = highs[0], lows[0]
    return (
        first[: high.end()] + low["half"] + first[high.end() :],
        second[: low.start("half")] + second[low.end("half") :],
    )


def _halves(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return (match for match in pattern.finditer(text) if match["half"])


def _text(event: StreamEvent) -> str:
    return event.data if isinstance(event.data, str) else event.data.decode("utf-8", "replace")
