"""An operator's regular expressions, under a limit of time: one that backtracks without end is given up.

The standard library's `re` cannot be stopped. `regex` can, and lets go of the interpreter while it searches. It takes
33 ms to import, and is loaded with the first pattern. Source: https://github.com/mrabarnett/mrab-regex (2026.11)
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import regex

from tidegate.domain.guardrails import Finding
from tidegate.policy.guardrails import regex_size

LABEL = "[REDACTED]"
LIMIT_SECONDS = 0.25
"""For all the patterns of one guardrail, and all the texts that are there to be searched."""


class TooSlow(Exception):
    """A pattern took longer than it may."""


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> "regex.Pattern[str]":
    """Raises `ValueError` that says what is wrong with the pattern."""
    regex_size.check_size(pattern)
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}.") from None


def check(pattern: str) -> None:
    """Raises `ValueError`, also where the pattern matches an empty text."""
    if matches(pattern, ""):
        raise ValueError(f"{pattern!r} matches also where there is nothing.")


def matches(pattern: str, text: str, seconds: float = LIMIT_SECONDS) -> bool:
    """Whether the pattern matches anywhere. Raises `TooSlow` and `ValueError`."""
    if seconds <= 0:  # which `regex` takes for no limit
        raise TooSlow
    try:
        return compile_pattern(pattern).search(text, timeout=seconds, concurrent=True) is not None
    except TimeoutError:
        raise TooSlow from None


def find(patterns: Sequence[str], texts: Sequence[str], seconds: float = LIMIT_SECONDS) -> list[list[Finding]]:
    """Where the patterns match in each text, all of that within `seconds`. Raises `TooSlow` and `ValueError`."""
    until = time.monotonic() + seconds
    return [[found for pattern in patterns for found in _find(compile_pattern(pattern), text, until)] for text in texts]


def _find(pattern: "regex.Pattern[str]", text: str, until: float) -> Iterator[Finding]:
    left = until - time.monotonic()
    if left <= 0:
        raise TooSlow
    try:
        for match in pattern.finditer(text, timeout=left, concurrent=True):
            yield Finding(match.start(), match.end(), LABEL)
    except TimeoutError:
        raise TooSlow from None
