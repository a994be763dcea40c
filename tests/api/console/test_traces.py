"""The content of calls over the dashboard's API: who is shown it, and why others are not."""

import asyncio
import time

from msgspec.structs import replace

from tests.api.console.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, OTHER_WORKSPACE, Console
from tests.store_worlds import outcome, workspace
from tidegate.control import admins, keys
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.viewers import authenticate_caller
from tidegate.domain.ids import ulid
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.trace import Trace, encode_trace
from tidegate.domain.workspace import UNKNOWN_SOURCE, Principal, RequestSource, Workspace
from tidegate.memory.meter import MemoryMeter


async def traced_call(console: Console, key: str = DEMO_KEY, workspace_id: str = DEMO_WORKSPACE) -> str:
    """Record a call of this key, with a trace. Returns its id."""
    me, now = (await console.get("/me", key)).json(), time.time()
    meter, traces = console.control.usages, console.control.traces
    assert isinstance(meter, MemoryMeter) and traces is not None
    made = outcome(id=ulid(now), at=now, workspace_id=workspace_id, trace_until=now + 60)
    call = replace(made.call, principal=Principal(me["id"], (workspace_id,)))
    await meter.record(replace(made, call=call))
    await traces.keep(workspace_id, call.id, encode_trace(Trace(call_id=call.id, request=b'{"n": 1}')), now + 60)
    return call.id


async def status(console: Console, call_id: str, key: str, **parameters: str) -> str:
    details = (await console.get(f"/calls/{call_id}", key, **parameters)).json()
    assert (details["trace_status"] == "kept") == (details["trace"] is not None)
    return details["trace_status"]


async def test_the_key_of_a_call_is_shown_its_content_and_another_key_is_not(console: Console) -> None:
    call_id = await traced_call(console)
    details = (await console.get(f"/calls/{call_id}")).json()
    assert (details["trace_status"], details["trace"]["request"]) == ("kept", {"n": 1})
    assert details["record"]["trace_until"] == details["trace"]["until"]
    assert await status(console, call_id, console.other_key, workspace=DEMO_WORKSPACE) == "not_yours"
    assert (await console.get(f"/calls/{call_id}", console.one_admin, workspace=DEMO_WORKSPACE)).status_code == 404


async def test_a_secret_from_who_may_not_read_content_opens_no_older_trace(console: Console) -> None:
    call_id = await traced_call(console, console.other_key, OTHER_WORKSPACE)
    me = (await console.get("/me", console.other_key)).json()
    key = await keys.find_key(console.control, COMMAND_LINE_ACTOR, OTHER_WORKSPACE, me["id"])
    writer = replace(COMMAND_LINE_ACTOR, id="adm_writer", scopes=("read", "write"))
    _, secret = await keys.rotate_key(console.control, writer, key, 0)
    assert secret is not None
    assert await status(console, call_id, secret, workspace=OTHER_WORKSPACE) == "not_yours"
    await asyncio.sleep(0.01)
    newer = await traced_call(console, secret, OTHER_WORKSPACE)
    assert await status(console, newer, secret, workspace=OTHER_WORKSPACE) == "kept"


async def test_an_admin_key_is_shown_content_with_the_scope_and_the_audit_log_says_so(console: Console) -> None:
    call_id = await traced_call(console, console.other_key, OTHER_WORKSPACE)
    asked = {"workspace": OTHER_WORKSPACE}
    assert await status(console, call_id, console.one_admin, **asked) == "needs_scope"
    reader = AdminKey("", "", "", ("read", "content"), (OTHER_WORKSPACE,), "auditor")
    created, secret = await admins.create_admin_key(console.control, COMMAND_LINE_ACTOR, reader)
    assert await status(console, call_id, secret, **asked) == "kept"
    assert await status(console, call_id, DEMO_ADMIN, **asked) == "kept"
    entries = await console.control.resources.entries(OTHER_WORKSPACE, None, 10)
    readers = [entry.who for entry in entries if (entry.action, entry.target) == ("read", f"calls/{call_id}")]
    assert len(readers) == 2 and created.id in readers


async def test_a_call_is_shown_without_its_content_to_who_does_not_want_it(console: Console) -> None:
    call_id = await traced_call(console)
    for key in (DEMO_KEY, DEMO_ADMIN):
        details = (await console.get(f"/calls/{call_id}", key, workspace=DEMO_WORKSPACE, trace="false")).json()
        assert (details["trace_status"], details["trace"], details["record"]["id"]) == ("kept", None, call_id)
    entries = await console.control.resources.entries(DEMO_WORKSPACE, None, 10)
    assert [entry for entry in entries if entry.action == "read"] == []


async def test_a_subject_with_several_grants_reads_with_the_grant_of_the_workspace_that_it_names() -> None:
    class Grants:
        """An authenticator of a subject whose grants have other ids in each workspace."""

        async def list_workspaces(self, authorization: str | None, *, source: RequestSource) -> list[Workspace]:
            return [workspace("ws_a"), workspace("ws_b")]

        async def authenticate(
            self, authorization: str | None, workspace_id: str, *, source: RequestSource
        ) -> tuple[Principal, None]:
            return Principal(f"grant of {workspace_id}", ("ws_a", "ws_b")), None

    for named, expected in (("ws_b", "ws_b"), (None, "ws_a"), ("ws_foreign", "ws_a")):
        actor = await authenticate_caller(Grants(), "Bearer a.b.c", UNKNOWN_SOURCE, named)
        assert (actor.id, actor.workspace_ids) == (f"grant of {expected}", ("ws_a", "ws_b"))
