"""The places of a batch's parts in its input, which validation writes: lines of JSON, 1,000 of them in an object."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tidegate.batch.keys import RANGES_PER_OBJECT, ranges_key
from tidegate.batch.ports import BatchObjects
from tidegate.domain.batch import Batch, PartRange
from tidegate.errors import StoreUnavailable

_encode_lines = msgspec.json.Encoder().encode_lines
_decode_lines = msgspec.json.Decoder(PartRange).decode_lines


async def write_ranges(objects: BatchObjects, batch: Batch, ranges: Sequence[PartRange]) -> None:
    """Write the object that begins with the first of these ranges. Writing it again does no harm."""
    if ranges:
        key = ranges_key(batch.workspace_id, batch.id, ranges[0].number // RANGES_PER_OBJECT)
        await objects.put(key, _encode_lines(ranges))


async def read_ranges(objects: BatchObjects, batch: Batch, numbers: Iterable[int]) -> Mapping[int, PartRange]:
    """The ranges of the parts with these numbers."""
    wanted = set(numbers)
    found: dict[int, PartRange] = {}
    for index in sorted({number // RANGES_PER_OBJECT for number in wanted}):
        data = await objects.read(ranges_key(batch.workspace_id, batch.id, index))
        if data is None:
            raise StoreUnavailable("The ranges of a batch's parts are gone.")
        found.update((range.number, range) for range in _decode_lines(data) if range.number in wanted)
    return found
