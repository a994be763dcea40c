"""Records that hold secrets."""


class Redacted:
    """Before `Struct` in a record's bases: it shows none of its values in a log, or in a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"
