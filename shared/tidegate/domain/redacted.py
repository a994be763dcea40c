"""Mixin for structs that hold secrets."""


class Redacted:
    """Hides all values in `repr()`, and so in logs and tracebacks. Must precede `Struct` in the bases."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"
