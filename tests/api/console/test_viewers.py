"""Who may read the dashboard's API, and what."""

import pytest

from tests.api.console.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, OTHER_WORKSPACE, Console

PATHS = ("/me", "/overview", "/providers", "/calls", "/calls.csv", "/calls/01ABC")


async def test_a_callers_key_reads_its_workspaces(console: Console) -> None:
    me = (await console.get("/me")).json()
    assert (me["kind"], me["scopes"], me["whole_gateway"]) == ("key", ["read"], False)
    assert me["workspaces"] == [{"id": DEMO_WORKSPACE, "name": "Demo"}]
    assert me["id"].startswith("key_demo_")
    both = (await console.get("/me", console.other_key)).json()
    assert [each["id"] for each in both["workspaces"]] == [DEMO_WORKSPACE, OTHER_WORKSPACE]


async def test_an_admin_key_reads_what_it_manages(console: Console) -> None:
    whole = (await console.get("/me", DEMO_ADMIN)).json()
    assert (whole["kind"], whole["scopes"], whole["whole_gateway"]) == ("admin", ["read", "write", "content"], True)
    assert [each["id"] for each in whole["workspaces"]] == [DEMO_WORKSPACE, OTHER_WORKSPACE]
    one = (await console.get("/me", console.one_admin)).json()
    assert (one["scopes"], one["whole_gateway"]) == (["read"], False)
    assert [each["id"] for each in one["workspaces"]] == [OTHER_WORKSPACE]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["", "sk-tidegate-wrong", "sk-tidegate-admin-wrong"])
async def test_without_a_valid_key_nothing_is_read(console: Console, path: str, key: str) -> None:
    answer = await console.get(path, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_for_chat_alone_does_not_read_the_dashboard(console: Console, path: str) -> None:
    answer = await console.get(path, console.chat_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "endpoint_not_allowed")


@pytest.mark.parametrize("path", PATHS[1:])
async def test_another_workspace_is_not_found_like_one_that_does_not_exist(console: Console, path: str) -> None:
    for key, workspace_id in (("", OTHER_WORKSPACE), ("", "ws_nowhere"), (console.one_admin, DEMO_WORKSPACE)):
        answer = await console.get(path, *([key] if key else []), workspace=workspace_id)
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "workspace_id")
        assert workspace_id in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", PATHS[3:])
async def test_a_key_of_several_workspaces_names_one(console: Console, path: str) -> None:
    answer = await console.get(path, console.other_key)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "workspace")


async def test_a_callers_key_does_not_open_the_admin_api(console: Console) -> None:
    answer = await console.http.get("/admin/v1/workspaces", headers={"authorization": "Bearer sk-tidegate-demo"})
    assert answer.status_code == 401


async def test_a_revoked_key_reads_nothing_after_its_cache_has_ended(console: Console) -> None:
    headers = {"authorization": f"Bearer {DEMO_ADMIN}"}
    listed = await console.http.get(f"/admin/v1/workspaces/{OTHER_WORKSPACE}/keys", headers=headers)
    key_id = listed.json()["data"][0]["id"]
    await console.http.delete(f"/admin/v1/workspaces/{OTHER_WORKSPACE}/keys/{key_id}", headers=headers)
    assert (await console.get("/me", console.other_key)).status_code == 401


@pytest.mark.parametrize("host", ["local.test/console/v1?", "local.test/console/v1/me#", "local.test/console/v1/../v1"])
async def test_no_host_header_makes_a_path_of_the_admin_api_one_of_the_dashboard(console: Console, host: str) -> None:
    headers = {"authorization": f"Bearer {DEMO_KEY}", "host": host}
    answer = await console.http.get(f"/admin/v1/workspaces/{DEMO_WORKSPACE}", headers=headers)
    assert answer.status_code == 401
