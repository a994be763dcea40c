"""Names of headers, remembered: each client sends the same ones with each request, and each reply has the same ones."""

FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
"""Headers that say how a message ends, and whether its connection is used again."""

_MOST_NAMES, _MOST_BYTES = 1_000, 64
"""How many names are remembered, and how long each may be: strangers choose them."""


class LowerNames(dict[bytes, bytes]):
    """The lower-case form of every name."""

    def __missing__(self, name: bytes) -> bytes:
        return _remember(self, name, name.lower())


class LineStarts(dict[bytes, bytes]):
    """The start of a header's line by its name, after the line before. Raises `KeyError` for names in `FRAMING`."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if lower in FRAMING:
            raise KeyError(name)
        return _remember(self, name, b"\r\n%b: " % lower)


def _remember(names: dict[bytes, bytes], name: bytes, value: bytes) -> bytes:
    if len(name) <= _MOST_BYTES:
        if len(names) >= _MOST_NAMES:
            names.clear()
        names[name] = value
    return value


LOWER_NAMES, LINE_STARTS = LowerNames(), LineStarts()
