"""Sums of call records by all that an overview filters and groups by, for an hour or a day of a workspace.

An aggregate is a table of cells. A cell has the sums of the calls that agree in all dimensions, so that each filter and
each grouping of an overview is a sum of cells. Sessions, which are many, have a table without status and error.
Aggregates can be added: days are sums of hours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from decimal import Decimal
from operator import add
from typing import NamedTuple, TypeAlias, TypeVar, cast

from msgspec import Struct, field

from tidegate.domain.histogram import Histogram, add_histograms, bucket_of
from tidegate.domain.money import MONEY

TIMED_DIMENSIONS = ("model", "provider", "key", "app", "endpoint")
"""The dimensions of histograms. With all dimensions, the histograms would be most of a document, and of its time."""

CELL_DIMENSIONS = (*TIMED_DIMENSIONS, "status", "error")
SESSION_DIMENSIONS = (*TIMED_DIMENSIONS, "session")
DIMENSIONS = (*CELL_DIMENSIONS, "session")

FIGURES = (
    *("calls", "failed", "cached", "unpriced", "input_tokens", "output_tokens", "cached_tokens", "written_tokens"),
    *("reasoning_tokens", "searches", "words", "input_words", "cost"),
)
"""The sums of a cell. `calls` counts each line of a batch; `cost` is a whole number of 1e-18 USD."""

COST_DECIMALS = 18
"""Decimal places of stored amounts in USD. Costs are whole numbers of the smallest amount, so that sums are exact."""

OTHER = "other"
"""The name in place of those that are not among the first of their dimension."""

MAX_NAMES = 100
"""How many names of a dimension are stored: so many with the highest cost, and so many with the most calls."""

MAX_CELLS = 1_000
"""Cells of one document, and as many of sessions: together about 60 KB, a sixth of DynamoDB's largest item."""

MAX_HISTOGRAMS = 100
"""Histograms of durations in one document, and as many of times to the first token."""

_MAX_OPEN_CELLS = 20 * MAX_CELLS
"""Cells in memory, about 20 MB, before an hour with more of them is cut on the way."""

_FOLDED = ("app", "endpoint", "error", "key", "session", "model", "provider", "status")
"""The order in which dimensions of small cells are given up if there are too many cells."""

_RECORD_SUMS = FIGURES[4:-1]
_COST = FIGURES.index("cost")
_TIMED = len(TIMED_DIMENSIONS)

Names: TypeAlias = tuple[str, ...]
Sums: TypeAlias = tuple[int, ...]
Record: TypeAlias = Mapping[str, object]
_C = TypeVar("_C", Sums, Histogram)


class Filter(NamedTuple):
    """Selects the cells with this name in a dimension."""

    dimension: str
    name: str


class Aggregate(Struct):
    """Sums by the names in `CELL_DIMENSIONS` and by those in `SESSION_DIMENSIONS`; histograms by `TIMED_DIMENSIONS`.

    The histograms have the calls that a provider was asked for: not those from the cache, lost ones, or batches.
    """

    sums: dict[Names, Sums] = field(default_factory=dict[Names, Sums])
    sessions: dict[Names, Sums] = field(default_factory=dict[Names, Sums])
    durations: dict[Names, Histogram] = field(default_factory=dict[Names, Histogram])
    first_tokens: dict[Names, Histogram] = field(default_factory=dict[Names, Histogram])

    @property
    def calls(self) -> int:
        return sum(sums[0] for sums in self.sums.values())

    def add_record(self, record: Record) -> None:
        """Add one call, or the lines of a part of a batch."""
        timed = _timed_names(record)
        error, session = str(record.get("error_code") or ""), str(record.get("session_id") or "")
        if record.get("lines") is not None:
            for status, sums in _sums_of_lines(record):
                _add_sums(self.sums, (*timed, status, error), sums)
                _add_sums(self.sessions, (*timed, session), sums)
            return
        status = str(record.get("status") or "")
        sums = _sums(record, 1, status)
        _add_sums(self.sums, (*timed, status, error), sums)
        _add_sums(self.sessions, (*timed, session), sums)
        if record.get("attempts"):
            _count_seconds(self.durations, timed, record.get("seconds"))
            _count_seconds(self.first_tokens, timed, record.get("first_event_seconds"))
        if len(self.sums) + len(self.sessions) > _MAX_OPEN_CELLS:
            self.fold(_MAX_OPEN_CELLS // 4, 10 * MAX_NAMES, 10 * MAX_HISTOGRAMS)

    def add(self, *others: "Aggregate") -> None:
        """Add all cells of other aggregates. Many at once take a fraction of the time of one after the other.

        Records must not be added to any of them afterwards: they may share histograms.
        """
        all = (self, *others)
        self.sums = _join([each.sums for each in all], _joined_sums)
        self.sessions = _join([each.sessions for each in all], _joined_sums)
        self.durations = _join([each.durations for each in all], add_histograms)
        self.first_tokens = _join([each.first_tokens for each in all], add_histograms)

    def select(self, filters: Sequence[Filter]) -> "Aggregate":
        """Return the cells that all filters select.

        With a session: without status and error, which its cells do not have. With a status or an error: without
        sessions. With any of these three: without histograms. With a session and one of the others: nothing.
        """
        if not filters:
            return self
        dimensions = {each.dimension for each in filters}
        if dimensions <= {*TIMED_DIMENSIONS}:
            return Aggregate(
                _select(self.sums, CELL_DIMENSIONS, filters),
                _select(self.sessions, SESSION_DIMENSIONS, filters),
                _select(self.durations, TIMED_DIMENSIONS, filters),
                _select(self.first_tokens, TIMED_DIMENSIONS, filters),
            )
        if dimensions <= {*CELL_DIMENSIONS}:
            return Aggregate(_select(self.sums, CELL_DIMENSIONS, filters))
        if dimensions <= {*SESSION_DIMENSIONS}:
            sessions = _select(self.sessions, SESSION_DIMENSIONS, filters)
            return Aggregate(_cells_of_sessions(sessions), sessions)
        return Aggregate()

    def first_names(self, dimension: str, number: int) -> list[str]:
        """Return the names in the dimension with the highest cost; among equals, with the most calls."""
        totals = self._totals(dimension)
        return sorted(totals, key=lambda name: (-totals[name][1], -totals[name][0], name))[:number]

    def group(self, dimension: str, top_names: Set[str] | None = None) -> dict[str, "Aggregate"]:
        """Return the cells by their name in the dimension, without sessions; with histograms if it is a timed one.

        Cells whose names are not among `top_names` are those of `OTHER`.
        """
        table, at = self._table(dimension)
        groups = {name: Aggregate(cells) for name, cells in _split(table, at, top_names).items()}
        if dimension == "session":
            return {name: Aggregate(_cells_of_sessions(group.sums)) for name, group in groups.items()}
        if dimension in TIMED_DIMENSIONS:
            for name, histograms in _split(self.durations, at, top_names).items():
                groups.setdefault(name, Aggregate()).durations = histograms
            for name, histograms in _split(self.first_tokens, at, top_names).items():
                groups.setdefault(name, Aggregate()).first_tokens = histograms
        return groups

    def fold(
        self, max_cells: int = MAX_CELLS, max_names: int = MAX_NAMES, max_histograms: int = MAX_HISTOGRAMS
    ) -> None:
        """Replace all but the first names of each dimension by `OTHER`, and join small cells if there are too many.

        The sums over all cells stay what they are.
        """
        for dimension in DIMENSIONS:
            totals = self._totals(dimension)
            if len(totals) > max_names:
                busiest = sorted(totals, key=lambda name: (-totals[name][0], name))[:max_names]
                self._fold_names(dimension, {*self.first_names(dimension, max_names), *busiest})

        def size(row: Sums) -> tuple[int, ...]:
            return row[_COST], row[0]

        self.sums = _fold_cells(self.sums, CELL_DIMENSIONS, max_cells, size, _joined_sums)
        self.sessions = _fold_cells(self.sessions, SESSION_DIMENSIONS, max_cells, size, _joined_sums)
        self.durations, self.first_tokens = (
            _fold_cells(each, TIMED_DIMENSIONS, max_histograms, lambda each: (sum(each.values()),), add_histograms)
            for each in (self.durations, self.first_tokens)
        )

    def _fold_names(self, dimension: str, top_names: Set[str]) -> None:
        if dimension in CELL_DIMENSIONS:
            self.sums = _fold_names(self.sums, CELL_DIMENSIONS.index(dimension), top_names, _joined_sums)
        if dimension in SESSION_DIMENSIONS:
            self.sessions = _fold_names(self.sessions, SESSION_DIMENSIONS.index(dimension), top_names, _joined_sums)
        if dimension in TIMED_DIMENSIONS:
            at = TIMED_DIMENSIONS.index(dimension)
            self.durations = _fold_names(self.durations, at, top_names, add_histograms)
            self.first_tokens = _fold_names(self.first_tokens, at, top_names, add_histograms)

    def _table(self, dimension: str) -> tuple[dict[Names, Sums], int]:
        """Return the sums by cells that have the dimension, and its position in their names."""
        if dimension == "session":
            return self.sessions, SESSION_DIMENSIONS.index(dimension)
        return self.sums, CELL_DIMENSIONS.index(dimension)

    def _totals(self, dimension: str) -> dict[str, tuple[int, int]]:
        """Return calls and cost by the names in the dimension."""
        table, at = self._table(dimension)
        totals: dict[str, tuple[int, int]] = {}
        for cell, row in table.items():
            calls, cost = totals.get(cell[at], (0, 0))
            totals[cell[at]] = calls + row[0], cost + row[_COST]
        return totals


def aggregate(records: Iterable[Record]) -> Aggregate:
    """Return the aggregate of the records, whatever their order."""
    total = Aggregate()
    for record in records:
        total.add_record(record)
    return total


def cost_usd(units: int) -> Decimal:
    """Return the amount in USD of a cell's `cost`."""
    return Decimal(units).scaleb(-COST_DECIMALS, MONEY)


def answering_model(record: Record) -> str:
    """Return the model that answered as `provider/model`, or the model requested if none did."""
    provider, model = record.get("provider"), record.get("answered_model")
    return f"{provider}/{model}" if provider and model else str(record.get("model") or "")


def _timed_names(record: Record) -> Names:
    # The fields that are read below are texts.
    text = cast("Mapping[str, str | None]", record).get
    return (
        answering_model(record),
        text("provider") or "",
        text("key_id") or "",
        text("app_id") or "",
        text("endpoint") or "",
    )


def _sums(record: Record, calls: int, status: str) -> Sums:
    cost = record.get("cost_usd")
    return (
        calls,
        calls if status == "failed" else 0,
        calls if status == "cached" else 0,
        int(cost is None),
        *(_integer(record.get(name)) for name in _RECORD_SUMS),
        0 if cost is None else int(Decimal(str(cost)).scaleb(COST_DECIMALS, MONEY)),
    )


def _sums_of_lines(record: Record) -> Iterator[tuple[str, Sums]]:
    """Yield the sums of the lines of a batch by their status: those that failed have no tokens of their own."""
    lines = _integer(record.get("lines"))
    failed = min(lines, _integer(record.get("lines_failed")))
    yield "ok", _sums(record, lines - failed, "ok")
    if failed:
        yield "failed", (failed, failed, *(0 for _ in FIGURES[2:]))


def _add_sums(table: dict[Names, Sums], names: Names, sums: Sums) -> None:
    before = table.get(names)
    table[names] = sums if before is None else tuple(map(add, before, sums))


def _integer(value: object) -> int:
    return value if isinstance(value, int) else int(str(value or 0))


def _count_seconds(histograms: dict[Names, Histogram], names: Names, seconds: object) -> None:
    if seconds is not None:
        histogram = histograms.setdefault(names, {})
        bucket = bucket_of(float(str(seconds)))
        histogram[bucket] = histogram.get(bucket, 0) + 1


def _select(cells: Mapping[Names, _C], dimensions: Sequence[str], filters: Sequence[Filter]) -> dict[Names, _C]:
    wanted = [(dimensions.index(each.dimension), each.name) for each in filters]
    return {cell: content for cell, content in cells.items() if all(cell[at] == name for at, name in wanted)}


def _split(cells: Mapping[Names, _C], at: int, top_names: Set[str] | None) -> dict[str, dict[Names, _C]]:
    parts: dict[str, dict[Names, _C]] = {}
    for cell, content in cells.items():
        name = cell[at] if top_names is None or cell[at] in top_names else OTHER
        part = parts.get(name)
        if part is None:
            part = parts[name] = {}
        part[cell] = content
    return parts


def _cells_of_sessions(sessions: Mapping[Names, Sums]) -> dict[Names, Sums]:
    """Return the cells of sessions in the form of others, with an empty status and error."""
    cells: dict[Names, Sums] = {}
    for names, sums in sessions.items():
        _add_sums(cells, (*names[:_TIMED], "", ""), sums)
    return cells


def _fold_names(
    cells: Mapping[Names, _C], at: int, top_names: Set[str], join: Callable[[Sequence[_C]], _C]
) -> dict[Names, _C]:
    """Give the cells whose name is not among `top_names` the name `OTHER`."""
    folded: dict[Names, _C] = {}
    for cell, content in cells.items():
        names = cell if cell[at] in top_names else (*cell[:at], OTHER, *cell[at + 1 :])
        folded[names] = join([folded[names], content]) if names in folded else content
    return folded


def _fold_cells(
    cells: dict[Names, _C],
    dimensions: Sequence[str],
    number: int,
    size: Callable[[_C], tuple[int, ...]],
    join: Callable[[Sequence[_C]], _C],
) -> dict[Names, _C]:
    """Give up one dimension of the small cells after the other, until there are at most `number` cells."""
    if len(cells) <= number:
        return cells
    by_size = sorted(sorted(cells), key=lambda cell: size(cells[cell]), reverse=True)
    folded = {cell: cells[cell] for cell in by_size[: number // 2]}
    small = {cell: cells[cell] for cell in by_size[number // 2 :]}
    for dimension in _FOLDED:
        if dimension in dimensions and len(folded) + len(small) > number:
            small = _fold_names(small, dimensions.index(dimension), frozenset(), join)
    return _join([folded, small], join)


def _join(tables: Iterable[Mapping[Names, _C]], join: Callable[[Sequence[_C]], _C]) -> dict[Names, _C]:
    """Return the cells of all tables. Those with the same names are one."""
    first, *others = [table for table in tables if table] or [{}]
    if not others:
        return dict(first)
    contents: dict[Names, list[_C]] = {}
    for table in (first, *others):
        for names, content in table.items():
            found = contents.get(names)
            if found is None:
                contents[names] = [content]
            else:
                found.append(content)
    return {names: join(found) for names, found in contents.items()}


def _joined_sums(rows: Sequence[Sums]) -> Sums:
    return rows[0] if len(rows) == 1 else tuple(map(sum, zip(*rows, strict=True)))
