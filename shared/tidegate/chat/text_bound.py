"""An upper bound for the tokens of any text, for holds: nobody can write a text that takes many more tokens.

`estimate` is right for ordinary words and far too low for others: random letters, base64, rare scripts. This bound adds
up what each character can cost in its place. A letter costs little after a letter that it usually follows, and much
after another one. A character outside ASCII costs its bytes in UTF-8, and less if it is a common one.

All bytes are counted at once, in integers that have one byte for each byte of the text: a table turns bytes into bits,
a shift by eight bits moves each byte to the place of the next one, and `bit_count` adds up. So the time depends on the
size alone: about 10 ms for a megabyte.
"""

import math
from collections.abc import Iterable

from tidegate.offload import in_turns

LETTER, THIRD_LETTER, WORD, WORD_ALONE = 0.05, 0.29, 0.72, 0.65
UNUSUAL_PAIR, AFTER_CAPITAL, CAPITAL_INSIDE = 0.3, 0.08, 0.44
DIGIT, NUMBER, NUMBER_AFTER_BLANK, MARK = 0.34, 0.52, 0.82, 0.76
SPACE, SPACE_RUN, BLANK, BLANK_AFTER_SPACE, CONTROL = 0.14, 0.37, 0.39, 0.29, 1.0
"""Tokens for each letter, each letter from the third of a word on, each word, and each word after a digit, a blank or a
control character; for each unusual pair of letters, each letter after a capital, and each capital after a small letter;
for each digit, each number, and each number after a space or a blank; for each punctuation mark; for each space, run of
spaces, blank (tab or line feed), blank after a space, and control character.

Fitted on 29 November 2026 by linear programming to the larger count of cl100k_base and o200k_base: at least nine tenths
of it for families of hostile texts, otherwise as low as possible for English, code and JSON. For the error, see
docs/LIMITS.md.
"""

COMMON_LETTER_DISCOUNT, COMMON_BLOCK_DISCOUNT = 1.0, 1.25
"""Tokens that a character of two bytes takes less than its bytes if it is a common letter, and one of three or four
bytes if it is in a common block of 64: the vocabularies have a token for the first two bytes of such a block.
"""

_USUAL_PAIRS = (
    *("ao bcdfgklmnprstuvwy", "bdfg aeiou", "cp aehiklortu", "e acdfgklmnprstvx", "hkv aeio", "i cdfgklmnorstvz"),
    *("jxz e", "l adefilopstuy", "m abeiopu", "n acdegiostuy", "q u", "rt adehimnorstuy", "s acehiopstu", "u lmnprst"),
    *("w aehio", "y op"),
)
"""Letters, and the letters that often follow each, in English and other languages in Latin letters."""

_COMMON_LETTERS = (
    *("c3 80-84 87 89 8d-8e 90-91 93 96-97 9a 9c 9f-b6 b8-bd", "ce ac-af b1-b5 b7-bd bf", "cf 80-87 89 8c"),
    *("d0 82 90-95 97-98 9a-a4 a6-a7 ad af-bf", "d1 80-8f 91 96", "d7 90-91 93-95 97 99 9c 9e a0 a2 a8-aa"),
    *("d8 8c a3 a5 a7-ba", "d9 81-8a 8e-92 be"),
)
_COMMON_BLOCKS = (
    *("e0 a4-ab ae-ba bc-bd", "e1 80 83 9e-9f ba-bb", "e2 80-82 84-86 88-89 91 94-99 9c-9e", "e3 80-83 85"),
    *("e4 b8-bf", "e5 80-81 83 85-91 93-96 9b-9d 9f-a5 a7 ad-b2 b7-bf", "e6 80-81 83-84 88-8f 91-92 94-a1 a3 a5 ac-bc"),
    *(
        "e7 81 84 88-89 8e-90 94-95 99-9d a1-a2 a4-af b1-b2 b4-b5 ba-be",
        "e8 80-83 87-8d 8f-90 99 a1-a3 a6-aa ad-b7 bd-bf",
    ),
    *("e9 80-83 87 8c 92-9d a0-a3 a6 a9 bb be", "ea b0-b3 b5 b7-b9", "ec 82-86 8a-8b 95-9e a0 a4 a6-a7 b0 b2 b6 b9"),
    *("eb 82 84-85 8a-8b 8d 8f-90 93-94 9e-a1 a3 a5-a7 a9-aa af-b0 b2-b3 b6 b8", "ed 81 83-84 8a 8c 95 98-99"),
    *("ef 82 b8 bc-bf", "f0 9d 9f"),
)
"""First bytes in UTF-8, and the second bytes that make a common letter, or a common block, with each."""

_BLOCK_BYTES = 32_768
"""Texts are counted in blocks that fit into the processor's cache, which is faster than at once."""

_ONES = int.from_bytes(b"\x01" * _BLOCK_BYTES, "little")
"""The lowest bit of each byte of a block."""

_LETTER, _CAPITAL, _DIGIT, _MARK, _SPACE, _BLANK, _CONTROL = range(7)
"""The bit of each class of characters. A capital has two: it is a letter as well."""


def _class_bits(byte: int) -> int:
    char = chr(byte)
    if byte >= 0x80:
        return 0
    if char.isalpha():
        return 1 << _LETTER | (1 << _CAPITAL if char.isupper() else 0)
    if char.isdigit():
        return 1 << _DIGIT
    if char.isprintable():
        return 1 << (_SPACE if char == " " else _MARK)
    return 1 << (_BLANK if char in "\t\n" else _CONTROL)


def _pair_tables(rows: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return a table for the first byte of a pair and one for the second: they share a bit if a row has the pair."""
    first, second = bytearray(256), bytearray(256)
    for bit, (firsts, seconds) in enumerate(rows):
        for byte in firsts:
            first[byte] |= 1 << bit
        for byte in seconds:
            second[byte] |= 1 << bit
    return bytes(first), bytes(second)


def _letter_row(row: str) -> tuple[bytes, bytes]:
    firsts, seconds = row.split()
    return (firsts + firsts.upper()).encode(), (seconds + seconds.upper()).encode()


def _utf8_row(row: str) -> tuple[bytes, bytes]:
    first, *ranges = row.split()
    seconds = [range(int(each[:2], 16), int(each[-2:], 16) + 1) for each in ranges]
    return bytes.fromhex(first), bytes(byte for each in seconds for byte in each)


_ASCII = bytes(range(128))
_CLASSES = bytes(map(_class_bits, range(256)))
_PAIR_TABLES = [_pair_tables(map(_letter_row, rows)) for rows in (_USUAL_PAIRS[:8], _USUAL_PAIRS[8:])]
_LETTER_TABLES = [_pair_tables(map(_utf8_row, _COMMON_LETTERS))]
_BLOCK_TABLES = [_pair_tables(map(_utf8_row, rows)) for rows in (_COMMON_BLOCKS[:8], _COMMON_BLOCKS[8:])]


def bound_text(text: str) -> int:
    """Return the most tokens that the text can take; 0 only for the empty text."""
    return bound_utf8(text.encode("utf-8", "surrogatepass"))


def bound_utf8(text: bytes) -> int:
    """Return the most tokens that a text in UTF-8 can take; 0 only for the empty text."""
    if len(text) <= _BLOCK_BYTES:
        return math.ceil(_bound_block(text))
    blocks = range(0, len(text), _BLOCK_BYTES)
    return math.ceil(sum([_bound_block(text[start : start + _BLOCK_BYTES]) for start in in_turns(blocks)]))


def _bound_block(text: bytes) -> float:
    """Return the bound of a block. What a text lacks is not counted: most have no tabs, and many no digits."""
    classes = int.from_bytes(text.translate(_CLASSES), "little")
    letter, capital, digit = classes & _ONES, classes >> _CAPITAL & _ONES, classes >> _DIGIT & _ONES
    mark, space = classes >> _MARK & _ONES, classes >> _SPACE & _ONES
    blank, control = classes >> _BLANK & _ONES, classes >> _CONTROL & _ONES
    pair, separator = letter & letter << 8, digit | blank | control
    letters, pairs = letter.bit_count(), pair.bit_count()
    tokens = LETTER * letters + WORD * (letters - pairs) + THIRD_LETTER * (pair & pair << 8).bit_count()
    if separator:
        tokens += WORD_ALONE * (letter & separator << 8).bit_count()
    tokens += UNUSUAL_PAIR * (pairs - _count_pairs(text, _PAIR_TABLES))
    if capital:
        tokens += AFTER_CAPITAL * (letter & capital << 8).bit_count()
        tokens += CAPITAL_INSIDE * (capital & (letter ^ capital) << 8).bit_count()
    if digit:
        tokens += (DIGIT + NUMBER) * digit.bit_count()
        tokens -= NUMBER * (digit & digit << 8).bit_count()
        tokens += NUMBER_AFTER_BLANK * (digit & (space | blank) << 8).bit_count()
    tokens += MARK * mark.bit_count()
    if space:
        spaces = space & space << 8
        tokens += SPACE * space.bit_count()
        tokens += SPACE_RUN * (spaces & ~(space << 16)).bit_count() if spaces else 0
    if blank:
        tokens += BLANK * blank.bit_count()
        tokens += BLANK_AFTER_SPACE * (blank & space << 8).bit_count()
    if control:
        tokens += CONTROL * control.bit_count()
    if text.isascii():
        return tokens
    return (
        tokens
        + len(text.translate(None, _ASCII))
        - COMMON_LETTER_DISCOUNT * _count_pairs(text, _LETTER_TABLES)
        - COMMON_BLOCK_DISCOUNT * _count_pairs(text, _BLOCK_TABLES)
    )


def _count_pairs(text: bytes, tables: Iterable[tuple[bytes, bytes]]) -> int:
    """Count the neighbouring bytes that a row of the tables has."""
    count = 0
    for first, second in tables:
        firsts = int.from_bytes(text.translate(first), "little") << 8  # moved to the place of the second
        count += (firsts & int.from_bytes(text.translate(second), "little")).bit_count()
    return count
