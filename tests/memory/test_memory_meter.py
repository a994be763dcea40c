import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, outcome
from tidegate.domain.record import RETENTION_SECONDS
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


async def test_expired_records_are_dropped_and_their_counters_stay() -> None:
    clock = Clock()
    meter = MemoryMeter(clock=clock)
    for n in range(3):
        await meter.record(outcome(at=NOON + n))
    clock.now = NOON + 1 + RETENTION_SECONDS
    newest = outcome(at=clock.now)
    await meter.record(newest)
    assert [call_id for _, (_, call_id), _ in meter._calls][1:] == [newest.call.id]
    assert len(meter._recorded) == 2
    counters = await meter.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert counters["calls"] == 3


async def test_a_call_can_be_recorded_after_a_record_that_could_not_be_stored() -> None:
    meter, call = MemoryMeter(clock=lambda: NOON), outcome(at=NOON)
    with pytest.raises(UnicodeEncodeError):
        await meter.record(replace(call, native_finish_reason="\ud800"))
    await meter.record(call)
    assert [record["id"] for record in await meter.calls("ws_one", 10)] == [call.call.id]
