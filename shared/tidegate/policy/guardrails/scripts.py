"""Checks the scripts that a text is written in, such as Latin or Cyrillic, instead of guessing its language.

Detecting languages was tried in November 2026 and left out. Of 27 short texts in nine languages, as people send them,
lingua 2.2.0 was wrong about 4 ("ok", "summarize"), and py3langid 0.4.0 about 8 ("Hello world", "thanks"): a guardrail
must not refuse those. lingua has 96 MB, four times the whole function, and took 13 s and 0.9 GB for its first answer;
py3langid has 78 MB with its numpy, and took 1.1 s. The script of a letter is certain, because Unicode defines it: it
keeps Cyrillic out of a German workspace, but not French.

Source: https://www.unicode.org/reports/tr24/ (Unicode Script Property)
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

from tidegate.domain.operation import Text

MAX_FOREIGN_PART = 0.1
"""The part of a text's letters that may be of other scripts: names, quotations, symbols."""

_LETTERS = regex.compile(r"[\p{L}--[\p{Script=Common}\p{Script=Inherited}]]", regex.V1)


@lru_cache(maxsize=128)
def _letters_of(scripts: tuple[str, ...]) -> "regex.Pattern[str]":
    names = "".join(rf"\p{{Script={name}}}" for name in scripts)
    return regex.compile(rf"[\p{{L}}&&[{names}]]", regex.V1)


def check_scripts(scripts: Iterable[str]) -> None:
    """Raise `ValueError` for a name that is not a Unicode script."""
    for name in scripts:
        try:
            if not name.replace("_", "").isalpha():
                raise regex.error("no name")
            _letters_of((name,))
        except regex.error:
            raise ValueError(f"{name!r} is not a Unicode script. Examples are 'Latin', 'Cyrillic' and 'Han'.") from None


def is_written_in(scripts: tuple[str, ...], text: str) -> bool:
    """True if at least nine tenths of the text's letters are of these scripts."""
    letters = len(_LETTERS.findall(text))
    return letters - len(_letters_of(scripts).findall(text)) <= letters * MAX_FOREIGN_PART


def find_foreign(scripts: tuple[str, ...], texts: Sequence[Text]) -> Text | None:
    """Return the first text that is not written in these scripts."""
    return next((text for text in texts if not is_written_in(scripts, text.text)), None)
