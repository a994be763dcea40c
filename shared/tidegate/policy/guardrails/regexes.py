"""Regular expressions of operators and callers under a time limit, which stops catastrophic backtracking.

The standard library's `re` cannot be stopped; `regex` can, and releases the GIL while it searches. It takes 33 ms to
import, and is loaded with the first pattern. Source: https://github.com/mrabarnett/mrab-regex (2026.11)
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import regex

from tidegate.domain.guardrails import Finding
from tidegate.policy.guardrails import regex_size

LABEL = "[REDACTED]"
LIMIT_SECONDS = 0.25
"""The time for all patterns of one guardrail and all texts of a prompt or an answer together."""


class TooSlow(Exception):
    """The patterns took longer than their time limit."""


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> "regex.Pattern[str]":
    """Compile the pattern. Raises `ValueError` that says what is wrong with it."""
    regex_size.check_size(pattern)
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"{pattern!r} is not a valid regular expression: {error}.") from None


def check_pattern(pattern: str) -> None:
    """Raise `ValueError` if the pattern is invalid, or matches an empty text."""
    if matches(pattern, ""):
        raise ValueError(f"{pattern!r} matches an empty text: it would match everywhere.")


def matches(pattern: str, text: str, seconds: float = LIMIT_SECONDS) -> bool:
    """True if the pattern matches somewhere in the text. Raises `TooSlow` and `ValueError`."""
    if seconds <= 0:  # which `regex` takes for no limit
        raise TooSlow
    try:
        return compile_pattern(pattern).search(text, timeout=seconds, concurrent=True) is not None
    except TimeoutError:
        raise TooSlow from None


def find_patterns(patterns: Sequence[str], texts: Sequence[str], seconds: float = LIMIT_SECONDS) -> list[list[Finding]]:
    """Return the matches in each text, found within `seconds`. Raises `TooSlow` and `ValueError`."""
    until = time.monotonic() + seconds
    return [[found for pattern in patterns for found in _find(compile_pattern(pattern), text, until)] for text in texts]


def _find(pattern: "regex.Pattern[str]", text: str, until: float) -> Iterator[Finding]:
    seconds_left = until - time.monotonic()
    if seconds_left <= 0:
        raise TooSlow
    try:
        for match in pattern.finditer(text, timeout=seconds_left, concurrent=True):
            yield Finding(match.start(), match.end(), LABEL)
    except TimeoutError:
        raise TooSlow from None
