"""The scripts that a text is written in: what can be said of its language without guessing.

Detecting languages was looked at in November 2026 and left out. Of 27 short texts in nine languages, as people send
them, lingua 2.2.0 was wrong about 4 ("ok", "summarize"), and py3langid 0.4.0 about 8 ("Hello world", "thanks"): a
guardrail that refuses those is none. lingua has 96 MB, four times the whole function, and took 13 s and 0.9 GB for its
first answer; py3langid has 78 MB with its numpy, and took 1.1 s. Unicode says of each letter which script it is of, and
that is certain: it keeps Cyrillic from a German workspace, French it does not.

Source: https://www.unicode.org/reports/tr24/ (Unicode Script Property)
"""

from collections.abc import Iterable
from functools import lru_cache

import regex

MAX_FOREIGN_PART = 0.1
"""The part of a text's letters that may be of other scripts: names, quotations, a symbol."""

_LETTERS = regex.compile(r"[\p{L}--[\p{Script=Common}\p{Script=Inherited}]]", regex.V1)


@lru_cache(maxsize=128)
def _letters_of(scripts: tuple[str, ...]) -> "regex.Pattern[str]":
    names = "".join(rf"\p{{Script={name}}}" for name in scripts)
    return regex.compile(rf"[\p{{L}}&&[{names}]]", regex.V1)


def check(scripts: Iterable[str]) -> None:
    """Raises `ValueError` for a name that Unicode does not know."""
    for name in scripts:
        try:
            if not name.replace("_", "").isalpha():
                raise regex.error("no name")
            _letters_of((name,))
        except regex.error:
            raise ValueError(f"{name!r} is no script of Unicode: write 'Latin', 'Cyrillic', 'Han'.") from None


def are_only(scripts: tuple[str, ...], text: str) -> bool:
    """Whether the text is written in these scripts, but for a tenth of its letters."""
    letters = len(_LETTERS.findall(text))
    return letters - len(_letters_of(scripts).findall(text)) <= letters * MAX_FOREIGN_PART
