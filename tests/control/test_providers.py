"""What the control plane reports of providers: figures of calls, errors, cooldowns, and settings that are missing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import NOON
from tidegate.control import workspaces
from tidegate.control.providers import ProviderState, report_providers
from tidegate.domain.deployment import CoolingTarget, ProviderConfig
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts
from tidegate.domain.record import CallRecord, iso_time
from tidegate.domain.settlement import Settlement
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import NotFound
from tidegate.memory.aggregates import MemoryAggregates
from tidegate.memory.meter import MemoryMeter
from tidegate.policy.metering.roller import Roller

HOUR = 3600.0
COOLING = CoolingTarget("groq", "llama-3.3-70b-versatile", "fast#2", NOON + 30)


class KnownStates(Struct, frozen=True):
    """Knows two providers, of which one has no key."""

    @property
    def configs(self) -> Mapping[str, ProviderConfig]:
        configured = ProviderConfig("groq", "https://groq.test", "GROQ_API_KEY")
        return {"groq": configured, "xai": ProviderConfig("xai", "", "XAI_API_KEY", ("XAI_API_KEY",))}

    async def cooling_targets(self, workspaces: Sequence[Workspace]) -> Sequence[CoolingTarget]:
        return [COOLING]


def record(at: float, provider: str, seconds: float, error: str | None = None) -> dict[str, Any]:
    names = {"id": ulid(at), "time": iso_time(at), "provider": provider, "answered_model": "m", "key_id": "key_1"}
    status = {"status": "failed" if error else "ok", "error_code": error, "attempts": 1}
    return {**names, **status, "seconds": seconds, "first_event_seconds": seconds, "cost_usd": Decimal("0.01")}


async def called(world: Managed, **records: Iterable[Mapping[str, Any]]) -> Managed:
    """Create the workspaces with their records, rolled up."""
    meter = world.stores.meter
    assert isinstance(meter, MemoryMeter)
    aggregates = MemoryAggregates(meter)
    for id, calls in records.items():
        own_key = (WorkspaceCredential("XAI_API_KEY", NOON),) if id == "ws_one" else ()
        await workspaces.create_workspace(world.control, WHOLE, Workspace(id, id, credentials=own_key))
        for each in calls:
            settled = CallRecord(**each, workspace_id=id)
            at = datetime.fromisoformat(each["time"]).timestamp()
            await meter.settle(Settlement(id, each["id"], at, 0, settled, {"calls": 1}, Amounts(), None))
        await Roller(aggregates, world.stores.clock).roll(Workspace(id, id))
    return Managed(world.stores, replace(world.control, aggregates=aggregates, providers=KnownStates()))


def by_name(states: Iterable[ProviderState]) -> dict[str, ProviderState]:
    return {state.name: state for state in states}


async def test_a_report_has_the_figures_of_the_last_hour_and_day_and_the_errors(world: Managed) -> None:
    calls = [
        record(NOON - 60, "groq", 1.0),
        record(NOON - 120, "groq", 1.0, "provider_overloaded"),
        record(NOON - 5 * HOUR, "groq", 1.0, "provider_overloaded"),
        record(NOON - 6 * HOUR, "groq", 1.0, "provider_timeout"),
        record(NOON - 30 * HOUR, "openai", 1.0),
    ]
    report = await report_providers((await called(world, ws_one=calls)).control, WHOLE)
    groq = by_name(report.states)["groq"]
    assert (groq.hour["calls"], groq.hour["failed"], groq.day["calls"], groq.day["failed"]) == (2, 1, 4, 3)
    assert groq.hour["ttft_p95"] == pytest.approx(1.0, rel=0.08)
    content = groq.to_json()
    assert content["errors"] == [
        {"code": "provider_overloaded", "calls": 2, "hour_calls": 1},
        {"code": "provider_timeout", "calls": 1, "hour_calls": 0},
    ]
    assert content["cooling"] == [{"name": "fast#2", "model": COOLING.model, "until": iso_time(COOLING.ends_at)}]
    assert "openai" not in by_name(report.states)  # called the day before, and not configured


async def test_a_report_names_missing_settings_and_workspaces_with_their_own_key(world: Managed) -> None:
    report = await report_providers((await called(world, ws_one=[], ws_two=[])).control, WHOLE)
    groq, xai = report.states
    assert (groq.setting, groq.missing_settings, groq.workspaces_with_key) == ("GROQ_API_KEY", (), [])
    assert (xai.setting, xai.missing_settings, xai.workspaces_with_key) == ("XAI_API_KEY", ("XAI_API_KEY",), ["ws_one"])
    assert (xai.hour["calls"], xai.cooling) == (0, [])


async def test_a_report_has_the_visible_workspaces_alone(world: Managed) -> None:
    one, two = [record(NOON - 60, "groq", 1.0)], [record(NOON - 60, "groq", 1.0), record(NOON - 90, "groq", 1.0)]
    control = (await called(world, ws_one=one, ws_two=two)).control
    seen = [(await report_providers(control, actor)).states[0].day["calls"] for actor in (WHOLE, OF_ONE)]
    assert seen == [3, 1]
    with pytest.raises(NotFound):
        await report_providers(control, OF_ONE, ["ws_two"])


async def test_without_a_data_plane_neither_settings_nor_cooldowns_are_known(world: Managed) -> None:
    control = replace((await called(world, ws_one=[record(NOON - 60, "groq", 1.0)])).control, providers=None)
    [groq] = (await report_providers(control, WHOLE)).states
    assert (groq.setting, groq.missing_settings, groq.workspaces_with_key, groq.cooling) == (None, None, [], None)
