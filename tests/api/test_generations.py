"""A call and its trace by the id of its reply, for the caller who made it."""

import time

import pytest
from msgspec.structs import replace

from tests.store_worlds import outcome
from tests.world import KEY, USER, Client, world
from tidegate.domain.ids import ulid
from tidegate.domain.record import iso_time
from tidegate.domain.trace import Trace, encode_trace
from tidegate.domain.workspace import Workspace

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER}
OWN_KEY = replace(KEY, id="key_one")
"""The key of `outcome()`."""

TRACE = Trace(call_id="", request=b'{"model": "demo/echo"}')
PREFIXES = ("/v1", "/api/v1")


async def recorded(
    client: Client, *, seconds: float | None = 60, workspace_id: str = "ws_test", content: bytes | None = None
) -> tuple[str, str]:
    """Record a call whose trace expires in so many seconds. Returns its id, and that time as ISO."""
    now = time.time()
    call_id, until = ulid(now), None if seconds is None else now + seconds
    await client.recorder.kept.record(outcome(id=call_id, at=now, workspace_id=workspace_id, trace_until=until))
    if content is not None and until is not None:
        await client.app.lifespan_state["gateway"].open_traces().keep(workspace_id, call_id, content, until)
    records = await client.recorder.kept.calls(workspace_id, 10)
    return call_id, next(str(each.get("trace_until")) for each in records if each["id"] == call_id)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_call_is_found_by_its_id_in_the_path(prefix: str) -> None:
    async with world() as client:
        reply_id = (await client.post(CALL)).json["id"]
        wrapped = (await client.get(f"{prefix}/generation?id={reply_id}")).json["data"]
        found = await client.get(f"{prefix}/generations/{reply_id}")
        assert (found.status, found.json) == (200, wrapped)
        assert wrapped["trace_until"] is None
        unknown = await client.get(f"{prefix}/generations/chatcmpl-nobody")
        assert (unknown.status, unknown.json["error"]["param"]) == (404, "id")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_caller_of_a_call_reads_its_trace(prefix: str) -> None:
    async with world(key=OWN_KEY) as client:
        call_id, until = await recorded(client, content=encode_trace(TRACE))
        assert (await client.get(f"{prefix}/generations/{call_id}")).json["trace_until"] == until
        reply = await client.get(f"{prefix}/generations/{call_id}/trace")
        expected = {"request": {"model": "demo/echo"}, "attempts": [], "answer": None, "error": None, "masked": []}
        assert (reply.status, reply.json) == (200, {**expected, "until": until})


async def test_a_call_without_a_readable_trace_says_why() -> None:
    async with world(key=OWN_KEY) as client:
        untraced, _ = await recorded(client, seconds=None)
        expired, until = await recorded(client, seconds=-1, content=encode_trace(TRACE))
        lost, _ = await recorded(client)
        broken, _ = await recorded(client, content=b"of another version")
        reasons = {untraced: '"observability": true', expired: until, lost: "not stored", broken: "not stored"}
        for call_id, reason in reasons.items():
            reply = await client.get(f"/v1/generations/{call_id}/trace")
            assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")
            assert reason in reply.json["error"]["message"]


async def test_another_key_of_the_workspace_reads_the_record_and_not_the_trace() -> None:
    async with world() as client:
        call_id, _ = await recorded(client, content=encode_trace(TRACE))
        assert (await client.get(f"/v1/generations/{call_id}")).status == 200
        reply = await client.get(f"/v1/generations/{call_id}/trace")
        assert (reply.status, "with the key of the call" in reply.json["error"]["message"]) == (404, True)
        assert "demo/echo" not in reply.body.decode()


async def test_the_secret_of_a_rotation_without_the_scope_content_reads_newer_traces_alone() -> None:
    for since, status in ((time.time() - 60, 200), (time.time() + 60, 404)):
        async with world(key=replace(OWN_KEY, traces_since=since)) as client:
            call_id, _ = await recorded(client, content=encode_trace(TRACE))
            assert (await client.get(f"/v1/generations/{call_id}/trace")).status == status


async def test_the_trace_of_another_workspace_is_not_found() -> None:
    async with world(key=OWN_KEY, workspace=Workspace("ws_test", "Test")) as client:
        call_id, _ = await recorded(client, workspace_id="ws_other", content=encode_trace(TRACE))
        for path in (f"/v1/generations/{call_id}", f"/v1/generations/{call_id}/trace"):
            reply = await client.get(path)
            assert (reply.status, reply.json["error"]["param"]) == (404, "id")


async def keep_line_trace(client: Client, *, key_id: str = OWN_KEY.id, workspace_id: str = "ws_test") -> str:
    """Keep the trace of a call without a record, as that of a line of a batch. Returns the call's id."""
    now = time.time()
    call_id = ulid(now)
    content = encode_trace(replace(TRACE, key_id=key_id, until=now + 60))
    await client.app.lifespan_state["gateway"].open_traces().keep(workspace_id, call_id, content, now + 60)
    return call_id


async def test_the_trace_of_a_line_of_a_batch_is_read_with_the_key_of_the_batch_alone() -> None:
    async with world(key=OWN_KEY) as client:
        own = await keep_line_trace(client)
        for path in (f"/v1/generations/{own}/trace", f"/api/v1/generations/chatcmpl-{own}abc/trace"):
            reply = await client.get(path)
            assert (reply.status, reply.json["request"]) == (200, {"model": "demo/echo"})
            assert reply.json["until"] > iso_time(time.time())
        assert (await client.get(f"/v1/generations/{own}")).status == 404
        for fields in ({"key_id": "key_two"}, {"key_id": ""}, {"workspace_id": "ws_other"}):
            reply = await client.get(f"/v1/generations/{await keep_line_trace(client, **fields)}/trace")
            assert (reply.status, reply.json["error"]["param"]) == (404, "id")
            assert "demo/echo" not in reply.body.decode()


async def test_a_rotated_secret_reads_no_older_line_of_a_batch() -> None:
    async with world(key=replace(OWN_KEY, traces_since=time.time() + 60)) as client:
        assert (await client.get(f"/v1/generations/{await keep_line_trace(client)}/trace")).status == 404


async def test_a_gateway_whose_traces_are_switched_off_says_that_there_is_none() -> None:
    async with world(key=OWN_KEY, TIDEGATE_TRACES="off") as client:
        call_id, _ = await recorded(client)
        assert (await client.get(f"/v1/generations/{call_id}/trace")).status == 404
