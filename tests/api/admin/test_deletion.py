"""Workspaces and plans are deleted over HTTP, unless they are in use."""

from tests.api.admin.world import Api


async def test_a_workspace_in_use_is_a_409_unless_it_is_forced(api: Api) -> None:
    await api.whole("POST", "/workspaces", {"id": "ws_acme", "name": "Acme"})
    await api.whole("POST", "/keys", {"workspace_ids": ["ws_acme"]})
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).fault == (409, "conflict", None)
    assert (await api.whole("DELETE", "/workspaces/ws_acme?force=true", if_match='"7"')).status == 412
    assert (await api.reader("DELETE", "/workspaces/ws_acme?force=true")).status == 403
    assert (await api.whole("DELETE", "/workspaces/ws_acme?force=true", if_match='"1"')).status == 204
    assert (await api.whole("GET", "/workspaces/ws_acme")).status == 404
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).status == 404


async def test_a_plan_in_use_is_a_409(api: Api) -> None:
    await api.whole("POST", "/plans", {"id": "plan_pro", "name": "Pro"})
    await api.whole("POST", "/workspaces", {"id": "ws_acme", "name": "Acme", "plan_id": "plan_pro"})
    assert (await api.whole("DELETE", "/plans/plan_pro")).fault == (409, "conflict", None)
    assert (await api.whole("DELETE", "/workspaces/ws_acme")).status == 204
    assert (await api.whole("DELETE", "/plans/plan_pro")).status == 204
    assert (await api.whole("GET", "/plans/plan_pro")).status == 404
