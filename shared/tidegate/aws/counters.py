"""The usage counters of days: what a day's item has, and each of its hours that is not yet added to it.

An hour's sort key follows its day's: `USE#D#2026-11-21`, `USE#D#2026-11-21T12`. The day's attribute `hours` has a bit
for each hour that was added. Such an hour is not read any more, so that one write moves its calls to the day.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.aws.store import Item, Store
from tidegate.aws.table import workspace_partitions

DAY_PREFIX = "USE#D#"
ADDED_HOURS = "hours"

_AFTER_LAST_HOUR = "T24"


class CountersName(NamedTuple):
    """The day of counters, and their hour if they are not those of the whole day."""

    day: str
    hour: int | None


def counters_name(item: Item) -> CountersName:
    """Parse the sort key of counters."""
    day, _, hour = str(item["sk"]).removeprefix(DAY_PREFIX).partition("T")
    return CountersName(day, int(hour) if hour else None)


def counters_range(first: str, last: str) -> tuple[str, str]:
    """The sort keys of counters from the first day ("2026-11-21") to the last, and of their hours."""
    return f"{DAY_PREFIX}{first}", f"{DAY_PREFIX}{last}{_AFTER_LAST_HOUR}"


def has_hour(added_hours: int, hour: int) -> bool:
    return bool(added_hours >> hour & 1)


async def find_day_counters(
    store: Store, workspace_id: str, first: str, last: str, shards: int, attributes: Sequence[str] = ()
) -> dict[str, list[Item]]:
    """Return the items whose sums are the counters of each day; only with these `attributes`, if there are any."""
    days: dict[str, list[Item]] = {}
    for pk in workspace_partitions(workspace_id, shards):
        added: dict[str, int] = {}
        for item in await store.query_range(pk, *counters_range(first, last), attributes=attributes):
            day, hour = counters_name(item)
            if hour is None:
                added[day] = int(str(item.get(ADDED_HOURS, 0)))
            elif has_hour(added.get(day, 0), hour):
                continue
            days.setdefault(day, []).append(item)
    return days
