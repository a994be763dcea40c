"""Names of headers in lower case, remembered: each client sends the same ones with each request."""

_MOST_NAMES, _MOST_BYTES = 1_000, 64
"""How many names are remembered, and how long each may be: strangers choose them."""


class LowerNames(dict[bytes, bytes]):
    """The lower-case form of every name."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if len(name) <= _MOST_BYTES:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[name] = lower
        return lower


LOWER_NAMES = LowerNames()
