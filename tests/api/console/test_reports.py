"""Sessions over the dashboard's API: who sees which, and what is refused."""

import pytest

from tests.api.console.world import DEMO_ADMIN, DEMO_WORKSPACE, OTHER_WORKSPACE, Console


@pytest.mark.parametrize("session_id", ["s1", "repo/main #3", "ümlaut?"])
async def test_a_session_has_its_calls_by_agent(console: Console, session_id: str) -> None:
    headers = {"x_session_id": session_id.encode("ascii", "replace").decode()}
    path = f"/sessions/{headers['x_session_id'].replace(' ', '%20').replace('#', '%23').replace('?', '%3F')}"
    ids = [await console.call(**headers), await console.call(**headers, x_claude_code_agent_id="helper")]
    await console.call(x_session_id="another")
    session = (await console.get(path)).json()
    assert (session["session_id"], session["calls"]) == (headers["x_session_id"], 2)
    listed = [(each["agent_id"], [call["id"] for call in each["calls_listed"]]) for each in session["agents"]]
    assert listed == [(None, ids[:1]), ("helper", ids[1:])]


async def test_a_session_of_another_workspace_is_not_found(console: Console) -> None:
    await console.call(key=console.other_key, x_workspace_id=OTHER_WORKSPACE, x_session_id="s1")
    found = await console.get("/sessions/s1", DEMO_ADMIN, workspace=OTHER_WORKSPACE)
    assert (found.status_code, found.json()["calls"]) == (200, 1)
    for answer in (await console.get("/sessions/s1"), await console.get("/sessions/s1", workspace=OTHER_WORKSPACE)):
        assert answer.status_code == 404
    assert (await console.get("/sessions", workspace=OTHER_WORKSPACE)).status_code == 404


async def test_sessions_are_listed(console: Console) -> None:
    answer = await console.get("/sessions", order="recent")
    assert (answer.status_code, answer.json()["data"], answer.json()["step"]) == (200, [], "hour")


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("/sessions/s1", {"from": "2020-01-01T00:00:00Z"}, "from"),
        ("/sessions/s1", {"cursor": "a-b"}, "cursor"),
        ("/sessions", {"from": "2020-01-01T00:00:00Z"}, "from"),
        ("/sessions", {"order": "name"}, "order"),
    ],
)
async def test_what_is_not_valid_is_named(console: Console, path: str, query: dict[str, str], param: str) -> None:
    answer = await console.get(path, **query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_sessions_are_in_the_admin_api(console: Console) -> None:
    call_id = await console.call(x_session_id="s1")
    headers = {"authorization": f"Bearer {DEMO_ADMIN}"}
    root = f"/admin/v1/workspaces/{DEMO_WORKSPACE}/sessions"
    assert (await console.http.get(root, headers=headers)).json()["data"] == []
    session = (await console.http.get(f"{root}/s1", headers=headers)).json()
    assert [call["id"] for call in session["agents"][0]["calls_listed"]] == [call_id]


async def test_calls_are_repriced(console: Console) -> None:
    answer = await console.get("/reprice", model=["openai/gpt-4o", "nobody/knows"])
    assert answer.status_code == 200
    assert [(each["model"], each["problem"]) for each in answer.json()["models"]] == [
        ("openai/gpt-4o", None),
        ("nobody/knows", "unknown_model"),
    ]
    assert (await console.get("/reprice", workspace=OTHER_WORKSPACE)).status_code == 404
    too_many = await console.get("/reprice", model=["m"] * 21)
    assert (too_many.status_code, too_many.json()["error"]["param"]) == (400, "model")
    headers = {"authorization": f"Bearer {DEMO_ADMIN}"}
    of_admin = await console.http.get(f"/admin/v1/workspaces/{DEMO_WORKSPACE}/reprice?model=a/b", headers=headers)
    assert of_admin.json()["models"][0]["problem"] == "unknown_model"
