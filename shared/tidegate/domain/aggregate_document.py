"""Aggregates as compressed documents: columns of whole numbers, which take a tenth of the time that cells take.

| field | content |
|---|---|
| `version` | 1 |
| `names` | each name once |
| `cells` | for each dimension, the position in `names` of the name of each cell |
| `sums` | for each figure but the cost, the sum of each cell |
| `costs` | the cost of each cell, as text: it may have more than 64 bits |
| `timed` | for each timed dimension, the position in `names` of the name of each histogram |
| `durations`, `first_tokens` | three columns: the position in `timed`, a bucket of the histogram, and its count |
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.aggregate import DIMENSIONS, FIGURES, TIMED_DIMENSIONS, Aggregate, Names
from tidegate.domain.histogram import Histogram
from tidegate.errors import StoreUnavailable

MAX_BYTES = 32 * 1024 * 1024
"""The largest document after decompression: a defect of the store must not fill the memory."""

_VERSION = 1
_Columns: TypeAlias = Sequence[Sequence[int]]


class _Document(Struct, frozen=True, array_like=True):
    version: int
    names: Sequence[str]
    cells: _Columns
    sums: _Columns
    costs: Sequence[str]
    timed: _Columns
    durations: _Columns
    first_tokens: _Columns


_decode = msgspec.msgpack.Decoder(_Document).decode
_encode = msgspec.msgpack.Encoder().encode


def encode_aggregate(aggregate: Aggregate) -> bytes:
    """Return the aggregate as a document."""
    names: dict[str, int] = {}

    def columns(cells: Iterable[Names], number: int) -> _Columns:
        positions = [[names.setdefault(name, len(names)) for name in cell] for cell in cells]
        return list(zip(*positions, strict=True)) or [()] * number

    cells = columns(aggregate.sums, len(DIMENSIONS))
    sums: _Columns = list(zip(*aggregate.sums.values(), strict=True)) or [()] * len(FIGURES)
    timed = {cell: position for position, cell in enumerate({**aggregate.durations, **aggregate.first_tokens})}
    document = _Document(
        _VERSION,
        names=(),
        cells=cells,
        sums=sums[:-1],
        costs=[str(cost) for cost in sums[-1]],
        timed=columns(timed, len(TIMED_DIMENSIONS)),
        durations=_histogram_columns(aggregate.durations, timed),
        first_tokens=_histogram_columns(aggregate.first_tokens, timed),
    )
    return zlib.compress(_encode(replace(document, names=list(names))))


def decode_aggregate(data: bytes) -> Aggregate:
    """Return the aggregate of a document. Raises `StoreUnavailable` if it is damaged, or of a newer version."""
    try:
        document = _decode(zlib.decompressobj().decompress(data, MAX_BYTES))
        if document.version != _VERSION:
            raise StoreUnavailable("An aggregate in the table is of a newer version of Tidegate.")
        cells, timed = (_cells(columns, document.names) for columns in (document.cells, document.timed))
        sums = zip(*document.sums, map(int, document.costs), strict=True)
        return Aggregate(
            dict(zip(cells, sums, strict=True)),
            _histograms(document.durations, timed),
            _histograms(document.first_tokens, timed),
        )
    except (zlib.error, msgspec.MsgspecError, ValueError, IndexError) as error:
        raise StoreUnavailable("An aggregate in the table is not valid.") from error


def _cells(columns: _Columns, names: Sequence[str]) -> list[Names]:
    return list(zip(*([names[at] for at in column] for column in columns), strict=True))


def _histogram_columns(histograms: Mapping[Names, Histogram], positions: Mapping[Names, int]) -> _Columns:
    rows = [
        row
        for cell, histogram in histograms.items()
        for row in zip(repeat(positions[cell]), histogram.keys(), histogram.values(), strict=False)
    ]
    return list(zip(*rows, strict=True)) or [(), (), ()]


def _histograms(columns: _Columns, cells: Sequence[Names]) -> dict[Names, Histogram]:
    histograms: dict[Names, Histogram] = {}
    positions, buckets, counts = columns
    for position, bucket, count in zip(positions, buckets, counts, strict=True):
        histograms.setdefault(cells[position], {})[bucket] = count
    return histograms
