"""A streamed text, checked in windows: text that could still become part of a finding is held back.

Text is passed on once it is `lag` characters behind the newest. So findings up to that length are caught, however the
stream cuts them into chunks. A finding at the end of the text may still grow: to be masked, it is held until it ends.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from tidegate.domain.guardrails import Finding, Guardrail
from tidegate.policy.guardrails.masking import merge_findings

CONTEXT_CHARACTERS = 64
"""Characters already passed on that are searched again: the text before a match can decide whether it is a finding."""

STEPS_PER_WINDOW = 4
"""A window is searched again when this fraction of it, a fourth, is new."""

MAX_HELD_CHARACTERS = 64 * 1024
"""Characters of one finding that are held at most; a longer finding cannot be masked, and is blocked."""

GuardrailFinding: TypeAlias = tuple[Guardrail, Finding]
Scan: TypeAlias = Callable[[str], Awaitable[Sequence[GuardrailFinding]]]


class Blocked(Exception):
    """The guardrail found a text that must not be passed on."""

    def __init__(self, guardrail: Guardrail) -> None:
        super().__init__(guardrail.name)
        self.guardrail = guardrail


class Window(Struct):
    """One text. `lag` is in characters; `masks` counts the masked findings."""

    scan: Scan
    lag: int
    masks: int = 0
    _released: str = ""
    _held: str = ""
    _ends_masked: bool = False

    async def add(self, piece: str) -> str:
        """Add the next piece of the stream, and return the text that may be passed on now. Raises `Blocked`."""
        self._held += piece
        return await self._release(self.lag) if len(self._held) >= self.lag + self.lag // STEPS_PER_WINDOW else ""

    async def finish(self) -> str:
        """Return the held text at the end of the stream. Raises `Blocked`."""
        return await self._release(0) if self._held else ""

    async def _release(self, lag: int) -> str:
        text, begin = self._released + self._held, len(self._released)
        found = await self.scan(text)
        cut = max(begin, len(text) - lag)
        for guardrail, finding in found:
            if guardrail.action == "block" and begin < finding.end and finding.start < cut:
                raise Blocked(guardrail)
        pieces: list[str] = []
        done = begin
        for mask in merge_findings(finding for guardrail, finding in found if guardrail.action == "mask"):
            if mask.end <= begin:
                continue
            if mask.start >= cut:
                break
            if lag and mask.end == len(text):
                cut = max(begin, mask.start)
                self._check_length(cut, text, found)
                break
            pieces.append(text[done : max(begin, mask.start)])
            if not (self._ends_masked and mask.start < begin):  # else it continues a finding that was masked before
                pieces.append(mask.label)
                self.masks += 1
            done = mask.end
            cut = max(cut, done)
        pieces.append(text[done:cut])
        if cut > begin:
            self._ends_masked = done == cut
        self._released, self._held = text[:cut][-CONTEXT_CHARACTERS:], text[cut:]
        return "".join(pieces)

    def _check_length(self, start: int, text: str, found: Sequence[GuardrailFinding]) -> None:
        if len(text) - start > MAX_HELD_CHARACTERS:
            raise Blocked(next(guardrail for guardrail, finding in found if finding.end == len(text)))
