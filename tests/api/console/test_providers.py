"""The state of providers as the dashboard's API answers it, over a running data plane."""

from typing import Any

from tests.api.console.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, Console

ROUTE = {"name": "fast", "targets": [{"model": "demo/error-429"}, {"model": "demo/echo"}], "cooldown_failures": 1}


async def states(console: Console, key: str = DEMO_KEY) -> dict[str, Any]:
    answer = await console.get("/providers", key)
    assert answer.status_code == 200, answer.text
    return {state["name"]: state for state in answer.json()["data"]}


async def test_a_target_that_cools_down_is_named(console: Console) -> None:
    headers = {"authorization": f"Bearer {DEMO_ADMIN}", "if-match": "*"}
    path = f"/admin/v1/workspaces/{DEMO_WORKSPACE}"
    assert (await console.http.patch(path, json={"routes": [ROUTE]}, headers=headers)).status_code == 200
    assert (await states(console))["demo"]["cooling"] == []
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hello"}]}
    call = {"authorization": f"Bearer {DEMO_KEY}"}
    assert (await console.http.post("/v1/chat/completions", json=body, headers=call)).status_code == 200
    [cooling] = (await states(console))["demo"]["cooling"]
    assert (cooling["name"], cooling["model"]) == ("fast#1", "error-429")
    assert (await states(console, console.other_key))["demo"]["cooling"] == [cooling]
    assert (await states(console, console.one_admin))["demo"]["cooling"] == []  # the route of another workspace


async def test_settings_are_named_without_their_values(console: Console) -> None:
    openai = (await states(console))["openai"]
    assert (openai["setting"], openai["missing_settings"]) == ("OPENAI_API_KEY", ["OPENAI_API_KEY"])
    assert (await states(console))["demo"]["missing_settings"] == []
