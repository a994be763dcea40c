"""Workspaces and plans are deleted over HTTP, unless they are in use."""

from tests.api.admin.world import Api
from tests.store_worlds import NOON
from tidegate.memory.traces import MemoryTraces


async def test_a_workspace_in_use_is_a_409_unless_it_is_forced(api: Api) -> None:
    await api.whole("POST", "/workspaces", {"id": "ws_acme", "name": "Acme"})
    await api.whole("POST", "/keys", {"workspace_ids": ["ws_acme"]})
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).fault == (409, "conflict", None)
    assert (await api.whole("DELETE", "/workspaces/ws_acme?force=true", if_match='"7"')).status == 412
    assert (await api.reader("DELETE", "/workspaces/ws_acme?force=true")).status == 403
    assert (await api.whole("DELETE", "/workspaces/ws_acme?force=true", if_match='"1"')).status == 204
    assert (await api.whole("GET", "/workspaces/ws_acme")).status == 404
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).status == 404


async def test_the_traces_of_a_workspace_are_destroyed_by_who_may_change_it(api: Api) -> None:
    traces = api.world.control.traces
    assert traces is not None and isinstance(traces, MemoryTraces)
    for workspace_id in ("ws_one", "ws_two"):
        await traces.keep(workspace_id, "C1", b"content", NOON + 60)
    assert (await api.reader("DELETE", "/workspaces/ws_one/traces")).status == 403
    assert (await api.one("DELETE", "/workspaces/ws_two/traces")).fault == (404, "not_found", "workspace_id")
    assert (await api.one("DELETE", "/workspaces/ws_one/traces")).status == 204
    assert [await traces.find(workspace_id, "C1") for workspace_id in ("ws_one", "ws_two")] == [None, b"content"]
    entries = (await api.one("GET", "/workspaces/ws_one/audit")).json["data"]
    assert ("destroy", "workspaces/ws_one/traces") in [(each["action"], each["target"]) for each in entries]


async def test_a_plan_in_use_is_a_409(api: Api) -> None:
    await api.whole("POST", "/plans", {"id": "plan_pro", "name": "Pro"})
    await api.whole("POST", "/workspaces", {"id": "ws_acme", "name": "Acme", "plan_id": "plan_pro"})
    assert (await api.whole("DELETE", "/plans/plan_pro")).fault == (409, "conflict", None)
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).status == 204
    assert (await api.whole("DELETE", "/plans/plan_pro")).status == 204
    assert (await api.whole("GET", "/plans/plan_pro")).status == 404
