"""Who may read the content of a call, for how long, and how it is destroyed."""

import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, READER, WHOLE, Managed, managed
from tests.store_worlds import NOON, outcome
from tidegate.control.admins import create_admin_key
from tidegate.control.call_details import find_call
from tidegate.control.traces import MAX_JSON_BYTES, destroy_traces
from tidegate.control.viewers import Caller
from tidegate.control.workspace_deletion import delete_workspace
from tidegate.control.workspaces import create_workspace
from tidegate.domain.ids import ulid
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.trace import Trace, TracedAttempt, encode_trace
from tidegate.domain.workspace import Workspace
from tidegate.errors import AdminForbidden, NotConfigured, NotFound
from tidegate.json import encode
from tidegate.memory.traces import MemoryTraces

DAY = 86_400.0
CALLER = AdminKey("key_one", "", "", ("read",), ("ws_one",))
TRACE = Trace(call_id="", request=b'{"model": "demo/echo"}')


class Tracing:
    """A control plane with the workspace ws_one, and a store of traces."""

    def __init__(self, world: Managed) -> None:
        self.world, self.control, self.clock = world, world.control, world.stores.clock
        assert isinstance(world.control.traces, MemoryTraces)
        self.traces = world.control.traces

    async def call(self, *, days: float | None = 7, content: bytes | None = encode_trace(TRACE)) -> str:
        """Record a call with a trace for so many days, or without one. Returns its id."""
        call_id, until = ulid(NOON), None if days is None else NOON + days * DAY
        await self.world.stores.meter.record(outcome(id=call_id, trace_until=until))
        if until is not None and content is not None:
            await self.traces.keep("ws_one", call_id, content, until)
        return call_id

    async def status(self, actor: AdminKey, call_id: str) -> str:
        details = (await find_call(self.control, actor, "ws_one", call_id)).to_json()
        assert (details["trace"] is not None) == (details["trace_status"] == "kept")
        return str(details["trace_status"])


@pytest.fixture
async def tracing() -> Tracing:
    made = Tracing(managed())
    await create_workspace(made.control, WHOLE, Workspace("ws_one", "One"))
    return made


async def test_a_caller_reads_the_traces_of_its_own_key_alone(tracing: Tracing) -> None:
    call_id = await tracing.call()
    details = (await find_call(tracing.control, CALLER, "ws_one", call_id)).to_json()
    assert details["trace_status"] == "kept"
    assert details["trace"] == {
        "request": {"model": "demo/echo"},
        "attempts": [],
        "answer": None,
        "error": None,
        "masked": [],
        "until": "2026-11-28T12:00:00.000Z",
    }
    assert await tracing.status(replace(CALLER, id="key_two"), call_id) == "not_yours"
    assert await tracing.status(replace(CALLER, id=""), call_id) == "not_yours"
    assert ("read", f"calls/{call_id}") not in await tracing.world.log()


async def test_a_key_that_was_rotated_without_the_scope_reads_newer_traces_alone(tracing: Tracing) -> None:
    call_id = await tracing.call()
    caller = Caller("key_one", "", "", ("read",), ("ws_one",), traces_since=NOON)
    assert await tracing.status(caller, call_id) == "kept"
    assert await tracing.status(replace(caller, traces_since=NOON + 1), call_id) == "not_yours"


async def test_an_admin_key_needs_the_scope_and_its_reading_is_in_the_audit_log(tracing: Tracing) -> None:
    call_id = await tracing.call()
    assert [await tracing.status(actor, call_id) for actor in (READER, OF_ONE)] == ["needs_scope", "needs_scope"]
    entry = ("read", f"calls/{call_id}")
    assert entry not in await tracing.world.log()
    assert await tracing.status(replace(OF_ONE, scopes=("read", "content")), call_id) == "kept"
    assert [each for each in await tracing.world.log() if each == entry] == [entry]
    entries = await tracing.control.resources.entries("ws_one", None, 10)
    (logged,) = [each for each in entries if each.action == "read"]
    assert (logged.who, logged.action, logged.target, logged.before, logged.after) == ("adm_one", *entry, None, None)


async def test_calls_without_a_trace_say_why(tracing: Tracing) -> None:
    untraced, lost, broken = (
        await tracing.call(days=None),
        await tracing.call(content=None),
        await tracing.call(content=b"x"),
    )
    kept = await tracing.call(days=1)
    for actor in (CALLER, WHOLE):
        assert [await tracing.status(actor, id) for id in (untraced, lost, broken)] == ["not_asked", "lost", "lost"]
    assert await tracing.status(CALLER, kept) == "kept"
    tracing.clock.now = NOON + DAY
    assert [await tracing.status(actor, kept) for actor in (CALLER, WHOLE, READER)] == ["expired"] * 3
    without = replace(tracing.control, traces=None)
    assert (await find_call(without, CALLER, "ws_one", lost)).trace.status == "lost"


async def test_the_call_of_another_workspace_is_not_found(tracing: Tracing) -> None:
    call_id = await tracing.call()
    for actor in (replace(CALLER, workspace_ids=("ws_two",)), replace(WHOLE, workspace_ids=("ws_two",))):
        with pytest.raises(NotFound):
            await find_call(tracing.control, actor, "ws_one", call_id)


async def test_a_line_of_a_batch_has_a_trace_without_a_record(tracing: Tracing) -> None:
    call_id, until = ulid(NOON), NOON + DAY
    await tracing.traces.keep("ws_one", call_id, encode_trace(replace(TRACE, key_id="key_one", until=until)), until)
    details = (await find_call(tracing.control, CALLER, "ws_one", call_id)).to_json()
    content = details.pop("trace")
    assert details == {"record": None, "timeline": [], "cost": None, "trace_status": "kept"}
    assert (content["request"], content["until"]) == ({"model": "demo/echo"}, "2026-11-22T12:00:00.000Z")
    assert await tracing.status(OF_ONE, call_id) == "needs_scope"
    entry = ("read", f"calls/{call_id}")
    assert entry not in await tracing.world.log()
    assert await tracing.status(replace(OF_ONE, scopes=("read", "content")), call_id) == "kept"
    assert await tracing.world.log() == [("create", "workspaces/ws_one"), entry]
    others = (replace(CALLER, id="key_two"), replace(CALLER, workspace_ids=("ws_two",)), replace(CALLER, id=""))
    for actor in (*others, Caller("key_one", "", "", ("read",), ("ws_one",), traces_since=NOON + 1)):
        with pytest.raises(NotFound):
            await find_call(tracing.control, actor, "ws_one", call_id)
    tracing.clock.now = until
    with pytest.raises(NotFound):
        await find_call(tracing.control, CALLER, "ws_one", call_id)


async def test_a_call_that_is_read_without_its_content_leaves_no_audit_entry(tracing: Tracing) -> None:
    call_id, untraced = await tracing.call(), await tracing.call(days=None)
    for actor, statuses in ((WHOLE, ["kept", "not_asked"]), (READER, ["needs_scope", "not_asked"])):
        found = [
            await find_call(tracing.control, actor, "ws_one", id, with_content=False) for id in (call_id, untraced)
        ]
        assert [(each.trace.status, each.trace.content) for each in found] == [(each, None) for each in statuses]
    assert ("read", f"calls/{call_id}") not in await tracing.world.log()


async def test_destroyed_traces_are_lost_for_everybody_and_the_audit_log_says_who_did_it(tracing: Tracing) -> None:
    call_id = await tracing.call()
    for actor in (CALLER, READER, replace(OF_ONE, scopes=("read", "content"))):
        with pytest.raises(AdminForbidden):
            await destroy_traces(tracing.control, actor, "ws_one")
    for actor, name in ((replace(OF_ONE, workspace_ids=("ws_two",)), "ws_one"), (WHOLE, "ws_nowhere")):
        with pytest.raises(NotFound):
            await destroy_traces(tracing.control, actor, name)
    assert await tracing.status(WHOLE, call_id) == "kept"
    await destroy_traces(tracing.control, OF_ONE, "ws_one")
    assert [await tracing.status(actor, call_id) for actor in (CALLER, WHOLE)] == ["lost", "lost"]
    assert ("destroy", "workspaces/ws_one/traces") in await tracing.world.log()
    with pytest.raises(NotConfigured):
        await destroy_traces(replace(tracing.control, traces=None), WHOLE, "ws_one")


async def test_a_deleted_workspace_leaves_no_trace(tracing: Tracing) -> None:
    call_id = await tracing.call()
    await delete_workspace(tracing.control, WHOLE, "ws_one")
    assert await tracing.traces.find("ws_one", call_id) is None


async def test_nobody_gives_away_the_scope_without_having_it(tracing: Tracing) -> None:
    requested = AdminKey("", "", "", ("read", "content"), name="content")
    with pytest.raises(AdminForbidden):
        await create_admin_key(tracing.control, replace(WHOLE, scopes=("read", "write")), requested)
    created, _ = await create_admin_key(tracing.control, WHOLE, requested)
    assert created.scopes == ("read", "content")


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ({"reply": 4}, ("reply", "body", "answer")),
        ({"reply": 5}, ("body", "answer")),
        ({"reply": 3, "body": 3}, ("body", "answer")),
        ({"body": 6}, ("answer",)),
        ({"answer": 6}, ()),
    ],
)
async def test_a_trace_too_long_for_lambda_is_shown_without_its_largest_parts(
    tracing: Tracing, sizes: dict[str, int], shown: tuple[str, ...]
) -> None:
    # Quotes are two characters of JSON.
    parts = {name: "x" + '"' * (sizes.get(name, 0) * 550_000) for name in ("reply", "body", "answer")}
    attempt = TracedAttempt(
        deployment="d", reason="first", started=0.0, body=parts["body"].encode(), reply=parts["reply"].encode()
    )
    trace = Trace(call_id="", request=b"{}", attempts=(attempt,), answer=encode(parts["answer"]))
    call_id = await tracing.call(content=encode_trace(trace))
    content = (await find_call(tracing.control, CALLER, "ws_one", call_id)).trace.content
    assert content is not None and len(encode(content)) <= MAX_JSON_BYTES
    attempts = content["attempts"]
    assert isinstance(attempts, list) and isinstance(attempts[0], dict)
    found = {**attempts[0], "answer": content["answer"]}
    assert tuple(name for name in ("reply", "body", "answer") if found[name] is not None) == shown
    assert (found["omitted_bytes"] == 0) == ("reply" in shown)


@pytest.mark.parametrize(
    ("request_size", "answer_size", "shown"),
    [(6, 0, ("answer",)), (3, 4, ("request",)), (6, 7, ()), (2, 2, ("request", "answer"))],
)
async def test_the_longer_one_of_request_and_answer_is_left_out_first(
    tracing: Tracing, request_size: int, answer_size: int, shown: tuple[str, ...]
) -> None:
    parts = {"request": b"[%s]" % encode("x" * request_size * 10**6), "answer": encode("x" * answer_size * 10**6)}
    call_id = await tracing.call(content=encode_trace(Trace(call_id="", **parts)))
    content = (await find_call(tracing.control, CALLER, "ws_one", call_id)).trace.content
    assert content is not None and len(encode(content)) <= MAX_JSON_BYTES
    assert tuple(name for name in ("request", "answer") if content[name] is not None) == shown
