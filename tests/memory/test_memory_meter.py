from tests.store_worlds import NOON, outcome
from tidegate.memory.meter import MemoryMeter


async def test_only_the_newest_records_are_kept_and_the_counters_are_complete() -> None:
    meter = MemoryMeter(max_calls=3, clock=lambda: NOON)
    made = [outcome(at=NOON + n) for n in range(5)]
    for call in made:
        await meter.record(call)
    assert [call["id"] for call in await meter.calls("ws_one", 10)] == [made[n].call.id for n in (4, 3, 2)]
    counters = await meter.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert counters["calls"] == 5
