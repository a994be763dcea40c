"""Word counts by Unicode word boundaries, for every script and without a tokenizer.

Source: UAX #29, revision 45 (Unicode 16.0), https://www.unicode.org/reports/tr29/#Word_Boundaries. A word is a segment
between two boundaries that holds at least one letter, number, ideograph or kana. Scripts that need a dictionary, such
as Thai, are segmented character by character, as the annex does by default.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache

from tidegate.lazy import late_pattern, load
from tidegate.offload import in_turns

# ASCII needs no table: a word is a run of letters, digits and underscores ("a"). A mark (".") between two letters or
# two digits joins two runs (it's, 3.14); a run of underscores alone is not a word.
_RUNS = bytes(
    ord("a" if chr(point).isalnum() or chr(point) == "_" else "." if chr(point) in ":.',;" else " ")
    for point in range(128)
).ljust(256)
_JOINS = late_pattern(r"[:.',;](?:(?<=[A-Za-z][:.'])(?=[A-Za-z])|(?<=[0-9][.,;'])(?=[0-9]))")
_RULES = late_pattern(r"_(?<![A-Za-z0-9_]_)_*+(?![A-Za-z0-9])")

_BEYOND_ASCII = frozenset("HKakn")
"""Kinds with rules that ASCII text does not need."""

_PIECE_CHARACTERS = 1 << 16
"""Counting this many takes a few milliseconds."""

_ENDS = late_pattern("[ \n。]")

_MAX_CACHED_CODE_POINTS = 20_000


class _Kinds(dict[int, str]):
    """The kind of each code point, looked up when it is first needed.

    A kind is one character: A(Letter), H(ebrew letter), N(umeric), K(atakana), O(ther letters and numbers), each in
    lower case for characters of the class that are not letters or numbers; I is a pictograph that is a letter, P one
    that is not; X extends the character before; Z is the joiner; _ : . , ' " are their own classes; - is the rest.
    """

    def __missing__(self, point: int) -> str:
        starts, kinds = _table()
        found = kinds[bisect_right(starts, point) - 1]
        if len(self) < _MAX_CACHED_CODE_POINTS:
            self[point] = found
        return found


@cache
def _table() -> tuple[list[int], list[str]]:
    encoded: str = load("tidegate.domain.wordbreak", "RUNS")
    runs = encoded.split()
    return [int(run[1:], 16) for run in runs], [run[0] for run in runs]


_kinds = _Kinds()


@cache
def _words() -> re.Pattern[str]:
    """The pattern of one word as kinds, without extenders. Compiled on first use, which takes 3 ms."""
    return re.compile(
        r"""
        [AHINKO]
        (?: (?<=[AaHINn])[AaHINn]++     # WB5, WB8, WB9, WB10
        |   (?<=[AaHI])[:.']Z?[AaHI]    # WB6, WB7
        |   (?<=H)"H                    # WB7b, WB7c
        |   (?<=[Nn])[.,'][Nn]          # WB11, WB12
        |   (?<=[Kk])[Kk]++             # WB13
        |   (?<=[AaHINnKk_])_++         # WB13a
        |   (?<=_)[AaHINnKk]            # WB13b
        |   Z[IP]                       # WB3c
        )*+
        """,
        re.VERBOSE,
    )


def count_words(text: str) -> int:
    """The number of words in the text, in linear time. Other threads can run between the pieces of a long text."""
    if len(text) > _PIECE_CHARACTERS:
        return sum(map(_count_piece, in_turns(_pieces(text))))
    return _count_ascii(text) if text.isascii() else _count_any(text)


def count_words_of(texts: Iterable[str]) -> int:
    """The number of words in all of the texts: those of ASCII are counted at once, which is faster."""
    if not isinstance(texts, list):  # it may be read once
        texts = list(texts)
    text = "\n".join(texts)  # a word ends where its line does
    if not text.isascii():  # one text of another script would make all texts slow to count
        return sum(map(count_words, texts))
    return count_words(text) if len(text) > _PIECE_CHARACTERS else _count_ascii(text)


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces. Each ends with a character that ends a word, whatever follows."""
    start = 0
    while cut := _ENDS.search(text, start + _PIECE_CHARACTERS):
        yield text[start : cut.end()]
        start = cut.end()
    yield text[start:] if start else text


def _count_piece(text: str) -> int:
    return _count_ascii(text) if text.isascii() else _count_any(text)


def _count_ascii(text: str) -> int:
    runs = b" " + text.encode().translate(_RUNS)
    found, after_marks = runs.count(b" a"), runs.count(b".a")
    if after_marks:
        found += after_marks - len(_JOINS.findall(text))
    if "_" in text:
        found -= len(_RULES.findall(text))
    return found


def _count_any(text: str) -> int:
    kinds = text.translate(_kinds)
    # WB4: extenders do not change boundaries, except that a joiner connects pictographs (WB3c). This changes the count
    # only for pictographs that are letters. Replacing takes a tenth of the time of a regular expression.
    joins = "Z" in kinds and "I" in kinds
    if joins:
        kinds = kinds.replace("ZI", "zI").replace("ZP", "zP")
    kinds = kinds.replace("X", "").replace("Z", "")
    if joins:
        return len(_words().findall(kinds.replace("z", "Z")))
    alone = kinds.count("O")
    kinds = kinds.replace("O", "-")
    if _BEYOND_ASCII.isdisjoint(kinds):
        return alone + _count_ascii(kinds.replace("N", "0").replace("P", "-"))
    return alone + len(_words().findall(kinds))
