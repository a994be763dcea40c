"""Texts that take many tokens for their length, and how many: the larger count of cl100k_base and o200k_base.

The counts were taken with tiktoken's algorithm on 29 November 2026. No vocabulary is needed to run the tests.
"""

import base64
import string
from collections.abc import Iterator
from typing import NamedTuple

SIZE = 4_000
"""Characters of each text."""


class HostileText(NamedTuple):
    name: str
    text: str
    tokens: int


def hostile_texts() -> list[HostileText]:
    return [HostileText(name, text, TOKENS[name]) for name, text in _families()]


def draws(seed: int) -> Iterator[int]:
    """Numbers below 2**15 of a fixed generator, the same with every version of Python."""
    state = seed
    while True:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield state >> 16


def characters(alphabet: str, size: int = SIZE, seed: int = 1) -> str:
    numbers = draws(seed)
    return "".join(alphabet[next(numbers) % len(alphabet)] for _ in range(size))


def words(alphabet: str, length: int, separator: str = " ", seed: int = 1) -> str:
    text = characters(alphabet, SIZE, seed)
    return separator.join(text[i : i + length] for i in range(0, SIZE, length))


def syllables(separator: str, count: int) -> str:
    pairs = zip(characters("bcdfghjklmnpqrstvwxyz", seed=3), characters("aeiou", seed=5), strict=True)
    text = "".join(map("".join, pairs))
    return separator.join(text[i : i + 2 * count] for i in range(0, SIZE, 2 * count))


def _span(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


def _families() -> Iterator[tuple[str, str]]:
    lower, upper, letters, digits = string.ascii_lowercase, string.ascii_uppercase, string.ascii_letters, string.digits
    octets = bytes(number % 256 for number, _ in zip(draws(7), range(SIZE), strict=False))
    yield "small letters", characters(lower)
    yield "capitals", characters(upper)
    yield "letters", characters(letters)
    yield "consonants", characters("bcdfghjklmnpqrstvwxz")
    yield "rare letters", characters("jqxzkvw")
    yield "vowels", characters("aeiou")
    for length in (1, 2, 3, 5, 8, 20):
        yield f"words of {length}", words(lower, length)
        yield f"capital words of {length}", words(upper, length)
        yield f"lines of {length}", words(lower, length, "\n")
    yield "syllables", syllables("", 1)
    yield "words of syllables", syllables(" ", 3)
    yield "camel case", "".join(word.capitalize() for word in words(lower, 5).split())
    yield "base64", base64.b64encode(octets).decode()
    yield "base32", base64.b32encode(octets).decode()
    yield "base85", base64.b85encode(octets).decode()
    yield "hex", octets.hex()
    yield "letters and digits", characters(letters + digits)
    yield "a1b2", "".join(map("".join, zip(characters(lower), characters(digits), strict=True)))
    yield "digits", characters(digits)
    yield "single digits", words(digits, 1)
    yield "marks", characters(string.punctuation)
    yield (
        "letters and marks",
        "".join(map("".join, zip(characters(letters), characters(string.punctuation), strict=True))),
    )
    yield "printable", characters(string.printable[:95])
    yield "ascii", characters(_span(0, 127))
    yield "control characters", characters(_span(0, 31))
    yield "white space", characters(" \t\n\r")
    yield "spaces", " " * SIZE
    for period in (13, 31, 100):
        yield f"period of {period}", characters(lower, period) * (SIZE // period)
    yield "Latin-1", characters(_span(0xA1, 0xFF))
    yield "Latin extended", characters(_span(0x100, 0x24F))
    yield "Greek", characters(_span(0x370, 0x3FF))
    yield "Cyrillic", characters(_span(0x400, 0x4FF))
    yield "Armenian", characters(_span(0x531, 0x586))
    yield "Hebrew", characters(_span(0x5D0, 0x5EA))
    yield "Arabic", characters(_span(0x620, 0x6FF))
    yield "Devanagari", characters(_span(0x904, 0x939))
    yield "Tamil", characters(_span(0xB85, 0xBB9))
    yield "Thai", characters(_span(0xE01, 0xE3A))
    yield "Georgian", characters(_span(0x10D0, 0x10F0))
    yield "Ethiopic", characters(_span(0x1200, 0x1248))
    yield "Khmer", characters(_span(0x1780, 0x17B3))
    yield "Cherokee", characters(_span(0x13A0, 0x13F4))
    yield "kana", characters(_span(0x3041, 0x30FE))
    yield "Han", characters(_span(0x4E00, 0x9FA5))
    yield "Hangul", characters(_span(0xAC00, 0xD7A3))
    yield "symbols", characters(_span(0x2190, 0x27BF))
    yield "private use", characters(_span(0xE000, 0xF8FF))
    yield "combining marks", "".join(map("".join, zip(characters(lower), characters(_span(0x300, 0x36F)), strict=True)))
    yield "emoji", characters(_span(0x1F300, 0x1F6FF))
    yield "families of emoji", "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3fd\ufe0f" * (SIZE // 7)
    yield "ancient scripts", characters(_span(0x10000, 0x100FA))
    yield "mathematical letters", characters(_span(0x1D400, 0x1D454))
    yield "tags", characters(_span(0xE0020, 0xE007E))
    yield "spaced Han", words(_span(0x4E00, 0x9FA5), 1)
    yield (
        "everything",
        characters(_span(32, 126) * 4 + _span(0xA1, 0x17F) + _span(0x400, 0x44F) + _span(0x4E00, 0x4EFF)),
    )


TOKENS = {
    "small letters": 2183,
    "capitals": 2386,
    "letters": 2620,
    "consonants": 2335,
    "rare letters": 2643,
    "vowels": 2132,
    "words of 1": 4000,
    "capital words of 1": 4000,
    "lines of 1": 7999,
    "words of 2": 2224,
    "capital words of 2": 2436,
    "lines of 2": 4158,
    "words of 3": 2514,
    "capital words of 3": 2686,
    "lines of 3": 3834,
    "words of 5": 2359,
    "capital words of 5": 2529,
    "lines of 5": 3135,
    "words of 8": 2283,
    "capital words of 8": 2470,
    "lines of 8": 2767,
    "words of 20": 2222,
    "capital words of 20": 2415,
    "lines of 20": 2419,
    "syllables": 1840,
    "words of syllables": 1895,
    "camel case": 2533,
    "base64": 3814,
    "base32": 4236,
    "base85": 3817,
    "hex": 4509,
    "letters and digits": 2848,
    "a1b2": 8000,
    "digits": 1334,
    "single digits": 7999,
    "marks": 2633,
    "letters and marks": 6197,
    "printable": 3045,
    "ascii": 3438,
    "control characters": 3986,
    "white space": 2029,
    "spaces": 32,
    "period of 13": 2149,
    "period of 31": 2193,
    "period of 100": 2160,
    "Latin-1": 4812,
    "Latin extended": 7572,
    "Greek": 7235,
    "Cyrillic": 7104,
    "Armenian": 8000,
    "Hebrew": 5781,
    "Arabic": 7265,
    "Devanagari": 7314,
    "Tamil": 8000,
    "Thai": 5720,
    "Georgian": 8000,
    "Ethiopic": 11959,
    "Khmer": 7936,
    "Cherokee": 12000,
    "kana": 5977,
    "Han": 9236,
    "Hangul": 10356,
    "symbols": 9919,
    "private use": 11888,
    "combining marks": 11919,
    "emoji": 11446,
    "families of emoji": 9707,
    "ancient scripts": 15980,
    "mathematical letters": 11915,
    "tags": 14682,
    "spaced Han": 11028,
    "everything": 5298,
}
