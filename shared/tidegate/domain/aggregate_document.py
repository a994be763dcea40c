"""Aggregates as compressed documents: columns of whole numbers, which take a tenth of the time that cells take.

| field | content |
|---|---|
| `version` | 1 |
| `names` | each name once |
| `sums`, `sessions` | tables of sums |
| `durations`, `first_tokens` | tables of histograms |
| `cells` of a table | for each dimension, the position in `names` of the name of each cell |
| `figures` of sums | for each figure but the cost, the sum of each cell |
| `costs` of sums | the cost of each cell, as text: it may have more than 64 bits |
| `buckets`, `counts` of histograms | the buckets of each cell, and how many durations are in them |
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tidegate.domain.aggregate import FIGURES, Aggregate, Names, Sums
from tidegate.domain.histogram import Histogram
from tidegate.errors import StoreUnavailable

MAX_BYTES = 32 * 1024 * 1024
"""The largest document after decompression: a defect of the store must not fill the memory."""

_VERSION = 1
_Columns: TypeAlias = Sequence[Sequence[int]]


class _Sums(Struct, frozen=True, array_like=True):
    cells: _Columns
    figures: _Columns
    costs: Sequence[str]


class _Histograms(Struct, frozen=True, array_like=True):
    cells: _Columns
    buckets: _Columns
    counts: _Columns


class _Document(Struct, frozen=True, array_like=True):
    version: int
    names: Sequence[str]
    sums: _Sums
    sessions: msgspec.Raw
    durations: _Histograms
    first_tokens: _Histograms


_decode = msgspec.msgpack.Decoder(_Document).decode
_decode_sums = msgspec.msgpack.Decoder(_Sums).decode
_encode = msgspec.msgpack.Encoder().encode


def encode_aggregate(aggregate: Aggregate) -> bytes:
    """Return the aggregate as a document."""
    names: dict[str, int] = {}
    sums, sessions = _sums_columns(aggregate.sums, names), _encode(_sums_columns(aggregate.sessions, names))
    durations, first_tokens = (
        _histogram_columns(each, names) for each in (aggregate.durations, aggregate.first_tokens)
    )
    return zlib.compress(
        _encode(_Document(_VERSION, list(names), sums, msgspec.Raw(sessions), durations, first_tokens))
    )


def decode_aggregate(data: bytes, has_sessions: bool = True) -> Aggregate:
    """Return the aggregate of a document. Without its sessions, which are most of it, this takes a third of the time.

    Raises `StoreUnavailable` if it is damaged, or of a newer version.
    """
    try:
        document = _decode(zlib.decompressobj().decompress(data, MAX_BYTES))
        if document.version != _VERSION:
            raise StoreUnavailable("An aggregate in the table is of a newer version of Tidegate.")
        names = document.names
        return Aggregate(
            _sums(document.sums, names),
            _sums(_decode_sums(document.sessions), names) if has_sessions else {},
            _histograms(document.durations, names),
            _histograms(document.first_tokens, names),
        )
    except (zlib.error, msgspec.MsgspecError, ValueError, IndexError) as error:
        raise StoreUnavailable("An aggregate in the table is not valid.") from error


def _sums_columns(table: Mapping[Names, Sums], names: dict[str, int]) -> _Sums:
    *figures, costs = zip(*table.values(), strict=True) if table else [()] * len(FIGURES)
    return _Sums(_positions(table, names), figures, [str(cost) for cost in costs])


def _histogram_columns(table: Mapping[Names, Histogram], names: dict[str, int]) -> _Histograms:
    buckets, counts = [[*each] for each in table.values()], [[*each.values()] for each in table.values()]
    return _Histograms(_positions(table, names), buckets, counts)


def _positions(cells: Iterable[Names], names: dict[str, int]) -> _Columns:
    return list(zip(*([names.setdefault(name, len(names)) for name in cell] for cell in cells), strict=True))


def _sums(table: _Sums, names: Sequence[str]) -> dict[Names, Sums]:
    rows = zip(*table.figures, map(int, table.costs), strict=True)
    return dict(zip(_cells(table.cells, names), rows, strict=True))


def _histograms(table: _Histograms, names: Sequence[str]) -> dict[Names, Histogram]:
    histograms = (dict(zip(*each, strict=True)) for each in zip(table.buckets, table.counts, strict=True))
    return dict(zip(_cells(table.cells, names), histograms, strict=True))


def _cells(columns: _Columns, names: Sequence[str]) -> Iterator[Names]:
    return zip(*([names[at] for at in column] for column in columns), strict=True)
