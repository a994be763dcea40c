"""Traces: the content of calls, for those who may read it, and the destruction of a workspace's traces.

A caller reads the traces of calls with its own key. An admin key needs the scope `content`, and each look is in the
audit log.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal

from msgspec import Struct

from tidegate.chat.assemble import assemble_lines
from tidegate.control.authorization import check_scope, find_workspace
from tidegate.control.control import Control
from tidegate.control.viewers import Caller, is_caller
from tidegate.domain.keys import may_read_trace
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.trace_view import MAX_READ_AT_ONCE, has_expired, read_line_trace, read_trace
from tidegate.errors import NotConfigured
from tidegate.json import Json, JsonObject, encode
from tidegate.offload import offload

MAX_JSON_BYTES = 5_500_000
"""Size of a trace as JSON. Lambda answers with at most 6 MB, and records and timelines are beside the trace."""

TraceStatus = Literal["kept", "expired", "not_asked", "lost", "not_yours", "needs_scope"]


class FoundTrace(Struct, frozen=True):
    """The trace of a call as JSON, or why there is none for the actor."""

    status: TraceStatus
    content: JsonObject | None = None


async def find_trace(
    control: Control, actor: AdminKey, record: Mapping[str, object], *, with_content: bool = True
) -> FoundTrace:
    """Return the trace of the call with this record, which `actor` may read. Raises `StoreUnavailable`.

    Without its content, nothing is read, and so a trace that was lost is "kept".
    """
    until = str(record.get("trace_until") or "")
    if not until:
        return FoundTrace("not_asked")
    if has_expired(until, control.clock()):
        return FoundTrace("expired")
    if is_caller(actor) and not _is_own(actor, str(record.get("key_id") or ""), str(record["id"])):
        return FoundTrace("not_yours")
    if not is_caller(actor) and "content" not in actor.scopes:
        return FoundTrace("needs_scope")
    if not with_content:
        return FoundTrace("kept")
    call_id, workspace_id = str(record["id"]), str(record["workspace_id"])
    stored = None if control.traces is None else await control.traces.find(workspace_id, call_id)
    read = partial(read_trace, stored, until, assemble_lines)
    content = await offload(len(stored or b""), read, MAX_READ_AT_ONCE)
    if content is None:
        return FoundTrace("lost")
    return await _show(control, actor, workspace_id, call_id, content)


async def find_line_trace(control: Control, actor: AdminKey, workspace_id: str, call_id: str) -> FoundTrace | None:
    """Return the trace of a call without a record, such as a line of a batch; None if there is none for the actor.

    Raises `StoreUnavailable`.
    """
    stored = None if control.traces is None else await control.traces.find(workspace_id, call_id)
    trace = await offload(len(stored or b""), partial(read_line_trace, stored, assemble_lines), MAX_READ_AT_ONCE)
    if trace is None or (is_caller(actor) and not _is_own(actor, trace.key_id, call_id)):
        return None
    if not is_caller(actor) and "content" not in actor.scopes:
        return FoundTrace("needs_scope")
    return await _show(control, actor, workspace_id, call_id, trace.content)


async def _show(control: Control, actor: AdminKey, workspace_id: str, call_id: str, content: JsonObject) -> FoundTrace:
    if not is_caller(actor):
        await control.log_action(actor, "read", f"calls/{call_id}", workspace_id)
    return FoundTrace("kept", _shorten(content))


def _is_own(actor: AdminKey, key_id: str, call_id: str) -> bool:
    traces_since = actor.traces_since if isinstance(actor, Caller) else 0.0
    return may_read_trace(actor.id, traces_since, key_id, call_id)


async def destroy_traces(control: Control, actor: AdminKey, workspace_id: str) -> None:
    """Make all traces of the workspace unreadable at once, by destroying their key; later ones get a new key.

    Raises `NotFound`, `AdminForbidden`, `NotConfigured`, `StoreUnavailable`.
    """
    check_scope(actor, "write")
    workspace = await find_workspace(control, actor, workspace_id, "write")
    if control.traces is None:
        raise NotConfigured("This process has no traces.")
    await control.traces.destroy_key(workspace.id)
    await control.log_action(actor, "destroy", f"workspaces/{workspace.id}/traces", workspace.id)


def _shorten(content: JsonObject) -> JsonObject:
    """Return the trace without its largest parts if its JSON is too long.

    Replies are left out first, then bodies, then the longer one of request and answer, and at last the other one.
    """
    for part in ("reply", "body"):
        if len(encode(content)) <= MAX_JSON_BYTES:
            return content
        attempts = content["attempts"]
        # `trace_to_json` makes a list of them.
        assert isinstance(attempts, list)  # noqa: S101
        content = {**content, "attempts": [_without(attempt, part) for attempt in attempts]}
    for part in sorted(("answer", "request"), key=lambda name: -len(encode(content[name]))):
        if len(encode(content)) > MAX_JSON_BYTES:
            content = {**content, part: None}
    return content


def _without(attempt: Json, part: str) -> Json:
    if not isinstance(attempt, dict) or attempt[part] is None:
        return attempt
    omitted, size = attempt["omitted_bytes"], len(encode(attempt[part]))
    return {**attempt, part: None, "omitted_bytes": size + (omitted if isinstance(omitted, int) else 0)}
