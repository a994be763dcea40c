"""Finds repeated custom ids with sixteen bytes for each, whatever their number: five million need 80 MB.

Each entry has eleven bytes of a digest, and five of the line's number. Entries are divided by the first byte of the
digest, so that one 256th of them at a time is looked through, and never all.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterable, Iterable, Iterator
from hashlib import blake2b

DIGEST_BYTES = 11
"""Two of five million different ids have equal digests of this size with a probability of 4e-14."""

_NUMBER_BYTES = 5
_ENTRY_BYTES = DIGEST_BYTES + _NUMBER_BYTES
_BUCKETS = 256


class CustomIds:
    """The custom ids of an input's lines so far, with the lines' numbers."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(_BUCKETS)]

    def add(self, custom_id: str, number: int) -> None:
        """Add the id of the line with this number, which is larger than those before."""
        digest = blake2b(custom_id.encode(), digest_size=DIGEST_BYTES).digest()
        self._buckets[digest[0]] += digest + number.to_bytes(_NUMBER_BYTES, "big")

    @property
    def sizes(self) -> list[int]:
        """The sizes of the pieces that `pieces` gives out, in bytes."""
        return [len(bucket) for bucket in self._buckets]

    def pieces(self) -> Iterator[bytes]:
        """All entries as bytes, to be stored."""
        return (bytes(bucket) for bucket in self._buckets)

    async def load(self, sizes: Iterable[int], chunks: AsyncIterable[bytes]) -> None:
        """Take the entries that were stored, from the chunks of an object."""
        sizes_left, index = list(sizes), 0
        async for chunk in chunks:
            first = 0
            while first < len(chunk):
                piece = chunk[first : first + sizes_left[index]]
                self._buckets[index] += piece
                first += len(piece)
                sizes_left[index] -= len(piece)
                index += sizes_left[index] == 0

    async def repeated(self, most: int) -> list[int]:
        """The numbers of the first lines whose id an earlier line has, at most `most` of them."""
        numbers: list[int] = []
        for bucket in self._buckets:
            numbers = heapq.nsmallest(most, itertools.chain(numbers, _repeated(bucket)))
            await asyncio.sleep(0)  # other tasks of the event loop get their turn
        return numbers


def _repeated(bucket: bytearray) -> Iterator[int]:
    places = range(0, len(bucket), _ENTRY_BYTES)
    if len({bytes(bucket[place : place + DIGEST_BYTES]) for place in places}) == len(places):
        return
    found: set[bytes] = set()
    for place in places:
        digest = bytes(bucket[place : place + DIGEST_BYTES])
        if digest in found:
            yield int.from_bytes(bucket[place + DIGEST_BYTES : place + _ENTRY_BYTES], "big")
        found.add(digest)
