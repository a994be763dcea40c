"""Calls over the dashboard's API: lists, live updates, CSV and details."""

import pytest

from tests.api.console.world import DEMO_ADMIN, DEMO_WORKSPACE, OTHER_WORKSPACE, Console


async def test_calls_are_listed_with_the_newest_first(console: Console) -> None:
    ids = [await console.call(f"Hello {number}") for number in range(3)]
    page = (await console.get("/calls", limit=2)).json()
    assert [call["id"] for call in page["data"]] == ids[:0:-1]
    rest = (await console.get("/calls", limit=2, cursor=page["next_cursor"])).json()
    assert ([call["id"] for call in rest["data"]], rest["next_cursor"]) == (ids[:1], None)


async def test_a_viewer_asks_what_has_ended_since_a_call(console: Console) -> None:
    first, second = await console.call(), await console.call()
    page = (await console.get("/calls", after=first)).json()
    assert [call["id"] for call in page["data"]] == [second]


async def test_calls_are_filtered(console: Console) -> None:
    plain, of_app = await console.call(), await console.call(x_app_id="shop", x_session_id="s1")
    for filters, expected in (
        ({"app": "shop"}, [of_app]),
        ({"status": "ok"}, [of_app, plain]),
        ({"status": "failed"}, []),
        ({"model": "demo/echo"}, [of_app, plain]),
        ({"slower": "900"}, []),
        ({"dearer": "5"}, []),
        ({"error": "timeout"}, []),
        ({"from": "2100-01-01T00:00:00Z"}, []),
    ):
        page = (await console.get("/calls", **filters)).json()
        assert (filters, [call["id"] for call in page["data"]]) == (filters, expected)


@pytest.mark.parametrize("filters", [{"slower": "-1"}, {"dearer": "x"}, {"from": "yesterday"}, {"after": "a-b"}])
async def test_a_filter_that_is_not_valid_is_named(console: Console, filters: dict[str, str]) -> None:
    answer = await console.get("/calls", **filters)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(filters)))


async def test_calls_come_as_csv_without_formulas(console: Console) -> None:
    call_id = await console.call(x_session_id="=1+1")
    answer = await console.get("/calls.csv")
    header, row, *_ = answer.text.split("\r\n")
    assert answer.headers["content-type"].startswith("text/csv")
    assert call_id in row and "'=1+1" in row and header.startswith("time,id,status")


async def test_one_call_has_its_record_its_timeline_and_its_cost(console: Console) -> None:
    call_id = await console.call()
    details = (await console.get(f"/calls/{call_id}")).json()
    assert (details["record"]["id"], details["record"]["workspace_id"]) == (call_id, DEMO_WORKSPACE)
    kinds = [event["kind"] for event in details["timeline"]]
    assert kinds[0] == "authenticated" and "attempt" in kinds and kinds[-1] == "settled"
    assert (details["trace"], details["trace_status"]) == (None, "not_asked")


async def test_a_call_of_another_workspace_is_not_found(console: Console) -> None:
    call_id = await console.call(key=console.other_key, x_workspace_id=OTHER_WORKSPACE)
    assert (await console.get(f"/calls/{call_id}", DEMO_ADMIN, workspace=OTHER_WORKSPACE)).status_code == 200
    answer = await console.get(f"/calls/{call_id}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "id")
    assert (await console.get("/calls/nothing")).status_code == 404


async def test_the_overview_sums_the_calls_of_the_key(console: Console) -> None:
    answer = await console.get("/overview", step="hour")
    assert (answer.status_code, answer.json()["totals"]["calls"], len(answer.json()["series"])) == (200, 0, 24)
    wrong = await console.get("/overview", **{"from": "2020-01-01T00:00:00Z", "step": "hour"})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_request_error")
