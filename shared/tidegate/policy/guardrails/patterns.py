"""An operator's regular expressions, under a limit of time: one that backtracks without end is given up.

The standard library's `re` cannot be stopped. `regex` can, and lets go of the interpreter while it searches. It takes
33 ms to import, and is loaded with the first pattern. Source: https://pypi.org/project/regex/ (2026.11)
"""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache

import regex

from tidegate.domain.guardrails import Finding

LABEL = "[REDACTED]"
LIMIT_SECONDS = 0.25
"""For all the patterns of one guardrail in one text."""


class TooSlow(Exception):
    """A pattern took longer than it may."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> "regex.Pattern[str]":
    """Raises `ValueError` that says what is wrong with the pattern, also where it matches an empty text."""
    try:
        made = regex.compile(pattern)
        matches_nothing = made.search("", timeout=LIMIT_SECONDS) is not None
    except (regex.error, OverflowError, RecursionError, MemoryError, TimeoutError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}.") from None
    if matches_nothing:
        raise ValueError(f"{pattern!r} matches also where there is nothing.")
    return made


def find(patterns: Iterable[str], text: str, seconds: float = LIMIT_SECONDS) -> Iterator[Finding]:
    """Where the patterns match, all of them within `seconds`. Raises `TooSlow` and `ValueError`."""
    until = time.monotonic() + seconds
    for pattern in patterns:
        left = until - time.monotonic()
        if left <= 0:
            raise TooSlow
        try:
            for match in compiled(pattern).finditer(text, timeout=left, concurrent=True):
                yield Finding(match.start(), match.end(), LABEL)
        except TimeoutError:
            raise TooSlow from None
