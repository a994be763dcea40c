"""Sums of call records by all that an overview filters and groups by, for an hour or a day of a workspace.

An aggregate is a table of cells. A cell has the sums of the calls that agree in all dimensions, so that each filter and
each grouping of an overview is a sum of cells. Aggregates can be added: days are sums of hours.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from decimal import Decimal
from operator import add
from typing import NamedTuple, TypeAlias, TypeVar, cast

from msgspec import Struct, field

from tidegate.domain.histogram import Histogram, add_histogram, bucket_of
from tidegate.domain.money import MONEY

DIMENSIONS = ("model", "provider", "key", "app", "endpoint", "session", "status", "error")
TIMED_DIMENSIONS = DIMENSIONS[:5]
"""The dimensions of histograms. With all of them, the histograms would be most of a document, and of its time."""

FIGURES = (
    *("calls", "unpriced", "input_tokens", "output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens"),
    *("searches", "words", "input_words", "cost"),
)
"""The sums of a cell. `calls` counts each line of a batch; `cost` is a whole number of 1e-18 USD."""

COST_DECIMALS = 18
"""Decimal places of stored amounts in USD. Costs are whole numbers of the smallest amount, so that sums are exact."""

OTHER = "other"
"""The name in place of those that are not among the first of their dimension."""

MAX_NAMES = 100
"""Names of a dimension that are kept: the first by cost and the first by calls, as many each. Callers choose some."""

MAX_CELLS = 2_000
"""Cells of one document, about 80 KB: a fifth of DynamoDB's largest item."""

MAX_HISTOGRAMS = 100
"""Histograms of durations in one document, and as many of times to the first token."""

_MAX_OPEN_CELLS = 10 * MAX_CELLS
"""Cells in memory, about 20 MB, before an hour with more of them is cut on the way."""

_FOLDED = ("session", "app", "endpoint", "error", "key", "model", "provider", "status")
"""The order in which dimensions of small cells are given up if there are too many cells."""

_RECORD_SUMS = FIGURES[2:-1]
_COST = FIGURES.index("cost")

Names: TypeAlias = tuple[str, ...]
Sums: TypeAlias = tuple[int, ...]
Record: TypeAlias = Mapping[str, object]
_C = TypeVar("_C", Sums, Histogram)


class Filter(NamedTuple):
    """Selects the cells with this name in a dimension."""

    dimension: str
    name: str


class Aggregate(Struct):
    """Sums by cell, which is named by its `DIMENSIONS`, and histograms by the names in `TIMED_DIMENSIONS`.

    The histograms have the calls that a provider was asked for: not those from the cache, lost ones, or batches.
    """

    sums: dict[Names, Sums] = field(default_factory=dict[Names, Sums])
    durations: dict[Names, Histogram] = field(default_factory=dict[Names, Histogram])
    first_tokens: dict[Names, Histogram] = field(default_factory=dict[Names, Histogram])

    @property
    def calls(self) -> int:
        return sum(sums[0] for sums in self.sums.values())

    def add_record(self, record: Record) -> None:
        """Add one call, or the lines of a part of a batch."""
        lines = record.get("lines")
        if lines is not None:
            self._add_lines(record, _integer(lines))
            return
        names = _names(record, str(record.get("status") or ""))
        self._add_sums(names, _sums(record, 1))
        if record.get("attempts"):
            _count_seconds(self.durations, names, record.get("seconds"))
            _count_seconds(self.first_tokens, names, record.get("first_event_seconds"))
        if len(self.sums) > _MAX_OPEN_CELLS:
            self.fold(_MAX_OPEN_CELLS // 2, 10 * MAX_NAMES, 10 * MAX_HISTOGRAMS)

    def add(self, other: "Aggregate") -> None:
        """Add all cells of another aggregate."""
        sums = self.sums
        for names, theirs in other.sums.items():
            ours = sums.get(names)
            sums[names] = theirs if ours is None else tuple(map(add, ours, theirs))
        for mine, others in ((self.durations, other.durations), (self.first_tokens, other.first_tokens)):
            for names, histogram in others.items():
                add_histogram(mine.setdefault(names, {}), histogram)

    def select(self, filters: Iterable[Filter]) -> "Aggregate":
        """Return the cells that all filters select. Without histograms, if one is not of a timed dimension."""
        wanted = [(DIMENSIONS.index(each.dimension), each.name) for each in filters]
        if not wanted:
            return self
        is_timed = all(at < len(TIMED_DIMENSIONS) for at, _ in wanted)

        def is_selected(names: Names) -> bool:
            return all(names[at] == name for at, name in wanted)

        return Aggregate(
            {names: row for names, row in self.sums.items() if is_selected(names)},
            {names: each for names, each in self.durations.items() if is_timed and is_selected(names)},
            {names: each for names, each in self.first_tokens.items() if is_timed and is_selected(names)},
        )

    def without_sessions(self) -> "Aggregate":
        """Return the aggregate with the name `OTHER` for all sessions: it has few cells, which are quick to group."""
        sums = _fold_names(self.sums, DIMENSIONS.index("session"), frozenset(), _joined_sums)
        return Aggregate(sums, self.durations, self.first_tokens)

    def first_names(self, dimension: str, number: int) -> list[str]:
        """Return the names in the dimension with the highest cost; among equals, with the most calls."""
        at, costs, calls = DIMENSIONS.index(dimension), dict[str, int](), dict[str, int]()
        for cell, row in self.sums.items():
            name = cell[at]
            costs[name] = costs.get(name, 0) + row[_COST]
            calls[name] = calls.get(name, 0) + row[0]
        return sorted(costs, key=lambda name: (-costs[name], -calls[name], name))[:number]

    def group(self, dimension: str, kept: Set[str] | None = None) -> dict[str, "Aggregate"]:
        """Return the cells by their name in the dimension; with histograms if it is a timed one.

        Cells whose names are not among `kept` are those of `OTHER`.
        """
        at, groups = DIMENSIONS.index(dimension), dict[str, Aggregate]()

        def group_of(cell: Names) -> Aggregate:
            name = cell[at] if kept is None or cell[at] in kept else OTHER
            group = groups.get(name)
            if group is None:
                group = groups[name] = Aggregate()
            return group

        for cell, row in self.sums.items():
            group_of(cell).sums[cell] = row
        if dimension in TIMED_DIMENSIONS:
            for cell, histogram in self.durations.items():
                group_of(cell).durations[cell] = histogram
            for cell, histogram in self.first_tokens.items():
                group_of(cell).first_tokens[cell] = histogram
        return groups

    def fold(
        self, max_cells: int = MAX_CELLS, max_names: int = MAX_NAMES, max_histograms: int = MAX_HISTOGRAMS
    ) -> None:
        """Replace all but the first names of each dimension by `OTHER`, and join small cells if there are too many.

        The sums over all cells stay what they are.
        """
        for at, dimension in enumerate(DIMENSIONS):
            if len({cell[at] for cell in self.sums}) > max_names:
                kept = {*self.first_names(dimension, max_names), *self._busiest_names(at, max_names)}
                self.sums = _fold_names(self.sums, at, kept, _joined_sums)
                if dimension in TIMED_DIMENSIONS:
                    self.durations = _fold_names(self.durations, at, kept, _joined_histograms)
                    self.first_tokens = _fold_names(self.first_tokens, at, kept, _joined_histograms)
        self.sums = _fold_cells(self.sums, max_cells, lambda row: (row[_COST], row[0]), _joined_sums)
        self.durations, self.first_tokens = (
            _fold_cells(histograms, max_histograms, lambda each: (sum(each.values()),), _joined_histograms)
            for histograms in (self.durations, self.first_tokens)
        )

    def _busiest_names(self, at: int, number: int) -> list[str]:
        calls: dict[str, int] = {}
        for cell, row in self.sums.items():
            calls[cell[at]] = calls.get(cell[at], 0) + row[0]
        return sorted(calls, key=lambda name: (-calls[name], name))[:number]

    def _add_lines(self, record: Record, lines: int) -> None:
        """Add the lines of a batch: those that failed have no tokens of their own."""
        failed = min(lines, _integer(record.get("lines_failed")))
        self._add_sums(_names(record, "ok"), _sums(record, lines - failed))
        if failed:
            self._add_sums(_names(record, "failed"), (failed, *(0 for _ in FIGURES[1:])))

    def _add_sums(self, names: Names, sums: Sums) -> None:
        before = self.sums.get(names)
        self.sums[names] = sums if before is None else tuple(map(add, before, sums))


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


def _names(record: Record, status: str) -> Names:
    text = cast("Mapping[str, str | None]", record).get
    return (
        answering_model(record),
        text("provider") or "",
        text("key_id") or "",
        text("app_id") or "",
        text("endpoint") or "",
        text("session_id") or "",
        status,
        text("error_code") or "",
    )


def _sums(record: Record, calls: int) -> Sums:
    cost = record.get("cost_usd")
    return (
        calls,
        int(cost is None),
        *(_integer(record.get(name)) for name in _RECORD_SUMS),
        0 if cost is None else int(Decimal(str(cost)).scaleb(COST_DECIMALS, MONEY)),
    )


def _integer(value: object) -> int:
    return value if isinstance(value, int) else int(str(value or 0))


def _count_seconds(histograms: dict[Names, Histogram], names: Names, seconds: object) -> None:
    if seconds is not None:
        histogram = histograms.setdefault(names[: len(TIMED_DIMENSIONS)], {})
        bucket = bucket_of(float(str(seconds)))
        histogram[bucket] = histogram.get(bucket, 0) + 1


def _fold_names(cells: Mapping[Names, _C], at: int, kept: Set[str], join: Callable[[_C, _C], _C]) -> dict[Names, _C]:
    """Give the cells whose name is not among `kept` the name `OTHER`."""
    folded: dict[Names, _C] = {}
    for cell, content in cells.items():
        names = cell if cell[at] in kept else (*cell[:at], OTHER, *cell[at + 1 :])
        folded[names] = join(folded[names], content) if names in folded else content
    return folded


def _fold_cells(
    cells: dict[Names, _C], number: int, size: Callable[[_C], tuple[int, ...]], join: Callable[[_C, _C], _C]
) -> dict[Names, _C]:
    """Give up one dimension of the small cells after the other, until there are at most `number` cells."""
    if len(cells) <= number:
        return cells
    by_size = sorted(sorted(cells), key=lambda cell: size(cells[cell]), reverse=True)
    folded = {cell: cells[cell] for cell in by_size[: number // 2]}
    small = {cell: cells[cell] for cell in by_size[number // 2 :]}
    timed = len(by_size[0]) == len(TIMED_DIMENSIONS)
    for dimension in _FOLDED:
        if dimension in TIMED_DIMENSIONS or not timed:
            small = _fold_names(small, DIMENSIONS.index(dimension), frozenset(), join)
        if len(folded) + len(small) <= number:
            break
    for cell, content in small.items():
        folded[cell] = join(folded[cell], content) if cell in folded else content
    return folded


def _joined_sums(one: Sums, other: Sums) -> Sums:
    return tuple(map(add, one, other))


def _joined_histograms(one: Histogram, other: Histogram) -> Histogram:
    joined = dict(one)
    add_histogram(joined, other)
    return joined
