"""Stores the pieces of a stream without their common start and end: a tenth of the bytes is left to compress."""

from collections.abc import Sequence

from msgspec import Struct

_SAMPLE_PIECES = 12
"""Pieces from the middle of a stream that tell what its pieces have in common."""

_MIN_COMMON_BYTES = 32


class FoldedStream(Struct, frozen=True, array_like=True):
    """Pieces of a stream, most of them without `start` or `end` or both; `sizes` are those of the whole pieces.

    The size of a part tells what it lacks: `start` and `end` are not equally long.
    """

    start: bytes
    end: bytes
    parts: Sequence[bytes]
    sizes: Sequence[int]


def fold(pieces: Sequence[bytes]) -> FoldedStream | None:
    """Return the pieces, folded; None for few pieces, and for those that have little in common."""
    middle = (len(pieces) - _SAMPLE_PIECES) // 2
    if middle < 0:
        return None
    sample = pieces[middle : middle + _SAMPLE_PIECES]
    start = _common_start(sample)
    end = _common_start([piece[len(start) :][::-1] for piece in sample])[::-1]
    if len(start) == len(end):
        end = end[1:]
    if len(start) + len(end) < _MIN_COMMON_BYTES:
        return None
    parts = [piece.removeprefix(start).removesuffix(end) for piece in pieces]
    return FoldedStream(start, end, parts, list(map(len, pieces)))


def unfold(folded: FoldedStream) -> bytes:
    """Return the pieces that were folded, joined."""
    start, end = folded.start, folded.end
    # What is before and behind a part, by how many bytes of its piece are missing.
    surroundings = {
        len(end): (b"", end),
        len(start): (start, b""),
        len(start) + len(end): (start, end),
        0: (b"", b""),
    }
    whole: list[bytes] = []
    for part, size in zip(folded.parts, folded.sizes, strict=True):
        before, behind = surroundings[size - len(part)]
        whole += (before, part, behind)
    return b"".join(whole)


def _common_start(pieces: Sequence[bytes]) -> bytes:
    """Return what all pieces begin with: what the first and the last one in order have in common."""
    first, last = min(pieces), max(pieces)
    size = min(len(first), len(last))
    # Numbers of as many bytes differ from the first other byte on.
    difference = int.from_bytes(first[:size]) ^ int.from_bytes(last[:size])
    return first[: size - (difference.bit_length() + 7) // 8]
