"""A text of a stream that is checked in windows: what could still become part of a finding is held back.

A piece of text is passed on once it lies `lag` characters behind what has come, so that nothing that is no longer than
that gets through, however it is cut into chunks. What is found at the end of what has come may yet grow: to be masked,
it is held until it has ended.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from tidegate.domain.guardrails import Finding, Guardrail
from tidegate.policy.guardrails.masking import merge_findings

CONTEXT_CHARACTERS = 64
"""Characters that were passed on and are read again: what stands before a finding decides whether it is one."""

STEPS_PER_WINDOW = 4
"""A window is read again when a fourth of it is new."""

MAX_HELD_CHARACTERS = 64 * 1024
"""Characters of one finding that is waited for; a longer one cannot be masked in a window."""

GuardrailFinding: TypeAlias = tuple[Guardrail, Finding]
Scan: TypeAlias = Callable[[str], Awaitable[Sequence[GuardrailFinding]]]


class Blocked(Exception):
    """Something was found that may not be passed on, of this guardrail."""

    def __init__(self, guardrail: Guardrail) -> None:
        super().__init__(guardrail.name)
        self.guardrail = guardrail


class Window(Struct):
    """One text. `masks` counts what was masked."""

    scan: Scan
    lag: int
    masks: int = 0
    _released: str = ""
    _held: str = ""
    _ends_masked: bool = False

    async def add(self, piece: str) -> str:
        """What may be passed on, now that `piece` has come. Raises `Blocked`."""
        self._held += piece
        return await self._release(self.lag) if len(self._held) >= self.lag + self.lag // STEPS_PER_WINDOW else ""

    async def finish(self) -> str:
        """The rest. Raises `Blocked`."""
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
            if not (self._ends_masked and mask.start < begin):  # or it overlaps what was masked, and is one with it
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
