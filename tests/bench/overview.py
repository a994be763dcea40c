"""The time of an overview over a million records in a data folder, and of the roller that prepares it.

python -m tests.bench.overview            a million records of a month; takes two minutes and 1.5 GB
python -m tests.bench.overview 100000     fewer records
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from tidegate.aws.aggregates import DynamoAggregates, create_rollup
from tidegate.aws.control import create_aws_control
from tidegate.aws.table import call_item_key, counters_item_key
from tidegate.aws.values import to_attributes
from tidegate.control import overview
from tidegate.control.aggregate_range import Step
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.control.overview import OverviewFilters
from tidegate.control.reprice import reprice
from tidegate.control.sessions import find_session, list_sessions
from tidegate.domain.aggregate_document import encode_aggregate
from tidegate.domain.ids import ulid
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import Workspace
from tidegate.errors import NotFound
from tidegate.settings import Settings
from tidegate.sqlite.database import open_database
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld
from tidegate.sqlite.writer import encode_item

NOW = 1_795_262_400.0
"""2026-11-21T12:00:00Z"""

DAYS, KEYS, MODELS, APPS, SESSIONS_A_DAY = 30, 40, 12, 8, 400
RUNS = 9
_DAY = 86_400
_TARGETS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro")


def create_record(source: random.Random, at: float) -> dict[str, object]:
    """Return a record of 900 bytes: each key has its application, and three models."""
    key = min(int(source.expovariate(1 / 8)), KEYS - 1)
    model, provider = (key + source.randrange(3)) % MODELS, ("openai", "anthropic", "gemini")[key % 3]
    status = source.choices(("ok", "failed", "cached", "cancelled"), (93, 3, 3, 1))[0]
    day = int(at // _DAY)
    return {
        **{"id": ulid(at), "time": iso_time(at), "surface": "openai", "stream": True},
        **{"model": f"{provider}/model-{model}", "provider": provider, "answered_model": f"model-{model}"},
        **{"deployment": None, "status": status, "finish_reason": "stop", "native_finish_reason": None},
        "error_code": source.choice(("provider_timeout", "provider_error", "rate_limit_exceeded"))
        if status == "failed"
        else None,
        "attempts": 0 if status == "cached" else 1,
        **{"input_tokens": source.randrange(4_000), "output_tokens": source.randrange(900), "cached_tokens": 512},
        **{"written_tokens": 0, "reasoning_tokens": 128, "searches": 0, "estimated": False, "usage_fault": None},
        **{"words": source.randrange(700), "input_words": 3_000, "output_words": 500, "words_method": "tokens"},
        "cost_usd": Decimal(source.randrange(10**16)).scaleb(-18),
        "first_event_seconds": round(source.lognormvariate(-0.7, 0.6), 6),
        "seconds": round(source.lognormvariate(1.2, 0.8), 6),
        **{"workspace_id": "ws_one", "key_id": f"key_{key}", "app_id": f"app_{key % APPS}"},
        **{"endpoint": "/v1/chat/completions", "session_id": f"{day}-{key}-{source.randrange(SESSIONS_A_DAY // 20)}"},
        "timeline": "authenticated 0.001 reserved 0.004 attempt 0.005 first_token 0.5 last_token 3.2 settled 3.21",
    }


def create_items(number: int, calls_by_day: dict[str, int]) -> Iterator[tuple[str, str, bytes, float | None]]:
    source = random.Random(1)
    for position in range(number):
        at = NOW - DAYS * _DAY * (1 - position / number)
        record = create_record(source, at)
        day = str(record["time"])[:10]
        calls_by_day[day] = calls_by_day.get(day, 0) + 1
        yield _row({**call_item_key("ws_one", str(record["id"]))._asdict(), **record, "ttl": int(at + 400 * _DAY)})
    for day, calls in calls_by_day.items():
        yield _row({**counters_item_key("ws_one", f"D#{day}")._asdict(), "calls": calls})


def _row(item: Mapping[str, object]) -> tuple[str, str, bytes, float | None]:
    ttl = item.get("ttl")
    return str(item["pk"]), str(item["sk"]), encode_item(to_attributes(item)), float(str(ttl)) if ttl else None


def fill(folder: DataFolder, number: int) -> None:
    """Write the records and the counters of their days."""
    folder.create()
    database = open_database(folder.database)
    database.execute("BEGIN")
    database.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", create_items(number, {}))
    database.execute("COMMIT")
    database.close()


async def measure(folder: DataFolder, number: int) -> None:
    """Roll up the records, and time overviews of several ranges."""
    settings = Settings.from_env({"AWS_REGION": "eu-central-1", "TIDEGATE_TABLE": "tidegate"})
    async with SqliteWorld(folder, settings, clock=lambda: NOW) as world:
        control = create_aws_control(world)
        workspace = Workspace("ws_one", "One")
        await control.apply_change(COMMAND_LINE_ACTOR, "create", None, workspace)
        begun_at, cpu = time.perf_counter(), time.process_time()
        await create_rollup(world.store).roller.roll(workspace)
        seconds = time.process_time() - cpu
        print(
            f"roller: {time.perf_counter() - begun_at:.1f} s, {seconds / number * 1e6:.0f} µs of processor a record",
            flush=True,
        )
        hours = await DynamoAggregates(world.store).find("ws_one", "2026-11-20T00", "2026-11-20T23")
        days = await DynamoAggregates(world.store).find("ws_one", "2026-10-01", "2026-11-30")
        for name, found in (("hour", hours), ("day", days)):
            cells = statistics.mean(len(each.sums) for each in found.values())
            size = statistics.mean(len(encode_aggregate(each)) for each in found.values())
            print(f"aggregate of a {name}: {cells:.0f} cells, {size:.0f} bytes", flush=True)
        asked: tuple[tuple[str, int, Step, OverviewFilters], ...] = (
            ("30 days by day", 30, "day", OverviewFilters()),
            ("30 days by day, one model and key", 30, "day", OverviewFilters(model="anthropic/model-4", key="key_4")),
            ("30 days by day, one session", 30, "day", OverviewFilters(session="20777-1-3")),
            ("7 days by hour", 7, "hour", OverviewFilters()),
            ("1 day by hour", 1, "hour", OverviewFilters()),
        )
        for name, length, step, filters in asked:
            times: list[float] = []
            calls = None
            for _ in range(RUNS):
                begun_at = time.perf_counter()
                made = await overview.overview(
                    control, COMMAND_LINE_ACTOR, ["ws_one"], NOW - length * _DAY, NOW, filters, step
                )
                times.append(time.perf_counter() - begun_at)
                calls = made.totals["calls"]
            times.sort()
            print(
                f"{name}: {times[RUNS // 2] * 1e3:.0f} ms (slowest {times[-1] * 1e3:.0f} ms), {calls} calls", flush=True
            )
        await measure_sessions(control)


async def measure_sessions(control: Control) -> None:
    """Print the processor time of lists of sessions, of looking up one by its id, and of a repricing."""
    actor, since = COMMAND_LINE_ACTOR, NOW - 30 * _DAY
    listed = await list_sessions(control, actor, "ws_one", since, NOW)
    dearest, rarest = (str(listed.rows[at]["session_id"]) for at in (0, -1))
    looks: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("sessions of 30 days", lambda: list_sessions(control, actor, "ws_one", since, NOW)),
        ("the dearest session, by its id", lambda: find_session(control, actor, "ws_one", dearest)),
        ("a small session, by its id", lambda: find_session(control, actor, "ws_one", rarest)),
        ("a session that does not exist", lambda: _absent(control)),
        ("30 days on three models", lambda: reprice(control, actor, "ws_one", _TARGETS, since, NOW)),
    )
    for name, look in looks:
        times: list[float] = []
        for _ in range(RUNS // 3):
            begun_at = time.process_time()
            await look()
            times.append(time.process_time() - begun_at)
        times.sort()
        print(
            f"{name}: {times[len(times) // 2] * 1e3:.0f} ms (slowest {times[-1] * 1e3:.0f} ms) of processor", flush=True
        )


async def _absent(control: Control) -> None:
    with suppress(NotFound):
        await find_session(control, COMMAND_LINE_ACTOR, "ws_one", "absent")


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as path:
        folder = DataFolder(Path(path))
        begun_at = time.perf_counter()
        fill(folder, number)
        print(f"records: {number}, written in {time.perf_counter() - begun_at:.0f} s", flush=True)
        asyncio.run(measure(folder, number))


if __name__ == "__main__":
    main()
