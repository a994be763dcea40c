"""Lengths of bodies as text, remembered: most bodies are short, and to write a number takes as long as to call three
functions.
"""

_MOST_NUMBERS = 8_192
"""How many numbers are remembered: they take a megabyte."""


class Digits(dict[int, bytes]):
    """The digits of every number."""

    def __missing__(self, number: int) -> bytes:
        if len(self) >= _MOST_NUMBERS:
            self.clear()
        digits = self[number] = b"%d" % number
        return digits


DIGITS = Digits()
