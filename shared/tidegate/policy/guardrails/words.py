"""Finds listed words and phrases in a text. The text's words are looked up, so the length of the list costs nothing.

Letter case, compatible forms of letters (full width, ligatures) and characters without width do not hide a word. In
scripts without blanks between words, a listed word is found wherever its characters appear.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from tidegate.domain.guardrails import Finding

LABEL = "[BLOCKED]"

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0d7f"
"""Combining marks of Latin, Cyrillic, Hebrew, Arabic and Indian scripts, which are parts of words."""

_TOKEN = re.compile(rf"[\w{_MARKS}{_INVISIBLE}]+")
_ASCII_TOKEN = re.compile("[a-z0-9_]+")
"""The tokens of a text in ASCII, in lower case."""

_UNSPACED_SCRIPTS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Thai, Lao, Burmese, Khmer, kana and Han."""

_REMOVE_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))


_FEW_WORDS = 8
"""Up to so many words, to look for each in a text takes less time than to list the text's own (2026-11)."""


class WordList(Struct, frozen=True):
    """`phrases` by their first words; `unspaced` words, which are searched as strings."""

    phrases: Mapping[str, tuple[tuple[str, ...], ...]]
    first_words: frozenset[str]
    unspaced: tuple[str, ...]


def normalised_words(text: str) -> tuple[str, ...]:
    """Return the words of the text in the form in which they are compared."""
    return tuple(_normalise(match[0]) for match in _TOKEN.finditer(text))


def is_searchable(word: str) -> bool:
    """True if the word begins and ends with a letter or digit. Others are ignored: "C++" would find every C."""
    if not word or _UNSPACED_SCRIPTS.search(word):
        return bool(word)
    return bool(_TOKEN.match(word) and _TOKEN.match(word[-1]) and any(normalised_words(word)))


def build_word_list(words: Iterable[str]) -> WordList:
    phrases: dict[str, list[tuple[str, ...]]] = {}
    unspaced: list[str] = []
    for word in words:
        if _UNSPACED_SCRIPTS.search(word):
            unspaced.append(unicodedata.normalize("NFC", word))
        elif phrase := normalised_words(word):
            phrases.setdefault(phrase[0], []).append(phrase)
    return WordList({first: tuple(each) for first, each in phrases.items()}, frozenset(phrases), tuple(unspaced))


def has_words(word_list: WordList, text: str) -> bool:
    """True if the text has a listed word or phrase."""
    return not _lacks_words(word_list, text) and next(find_words(word_list, text), None) is not None


def _lacks_words(word_list: WordList, text: str) -> bool:
    """True if the text is in ASCII and has none of the first words, as most texts: no search is needed."""
    if not text.isascii():
        return False
    # In ASCII, words are compared in lower case, and none is of a script without blanks.
    lowered, first_words = text.lower(), word_list.first_words
    if len(first_words) > _FEW_WORDS:
        return first_words.isdisjoint(_ASCII_TOKEN.findall(lowered))
    return not any(map(lowered.__contains__, first_words))


def find_words(word_list: WordList, text: str) -> Iterator[Finding]:
    """Find every listed word and phrase in the text."""
    if _lacks_words(word_list, text):
        return
    phrases = word_list.phrases
    if phrases:
        text_words = [(_normalise(match[0]), match.start(), match.end()) for match in _TOKEN.finditer(text)]
        for i, (word, start, _) in enumerate(text_words):
            for phrase in phrases.get(word, ()):
                if tuple(each[0] for each in text_words[i : i + len(phrase)]) == phrase:
                    yield Finding(start, text_words[i + len(phrase) - 1][2], LABEL)
    for word in word_list.unspaced:
        position = text.find(word)
        while position != -1:
            yield Finding(position, position + len(word), LABEL)
            position = text.find(word, position + len(word))


def _normalise(word: str) -> str:
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", word.translate(_REMOVE_INVISIBLE)).casefold()
