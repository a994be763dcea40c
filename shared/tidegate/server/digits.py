"""Lengths of bodies and chunks as text, remembered: most are short, and to format one takes as long as three calls."""

_MOST_NUMBERS = 8_192
"""How many numbers of a format are remembered: they take a megabyte."""


class Digits(dict[int, bytes]):
    """Numbers in the format `form`: `Digits(b"%x")[10]` is `b"a"`."""

    def __init__(self, form: bytes) -> None:
        super().__init__()
        self._form = form

    def __missing__(self, number: int) -> bytes:
        if len(self) >= _MOST_NUMBERS:
            self.clear()
        digits = self[number] = self._form % number
        return digits


DIGITS = Digits(b"%d")
CHUNK_STARTS = Digits(b"%x\r\n")
"""The line before a chunk, by the chunk's length. Source: RFC 9112, section 7.1."""
