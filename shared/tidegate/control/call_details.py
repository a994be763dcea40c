"""One call in detail: its record, its timeline, its cost by kind of token, and its trace."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from tidegate.catalog import load_catalog
from tidegate.catalog.prices import cost_parts
from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control
from tidegate.control.logs import is_id
from tidegate.control.traces import FoundTrace, find_line_trace, find_trace
from tidegate.domain.call_event import CallEvent
from tidegate.domain.ids import ulid_time
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import plain_decimal, timeline_events
from tidegate.domain.usage import TokenCounts
from tidegate.errors import NotFound

_NEIGHBOURS = 40
"""More records than have ids that differ in their last character alone."""


class CallDetails(Struct, frozen=True):
    """One call. `cost` has the list price of each kind of token; it is None if the model has no price.

    `record` is None for a line of a batch: a record is of many lines, and of a line there is its trace alone.

    The list price is the one of the call's time, without service tiers, batches' and markups: the record has the
    amount that was charged.
    """

    record: Mapping[str, object] | None
    timeline: Sequence[CallEvent]
    cost: Sequence[Mapping[str, object]] | None
    trace: FoundTrace

    def to_json(self) -> dict[str, object]:
        """Return the call as JSON: money as text, times in seconds since its start."""
        return {
            "record": self.record,
            "timeline": [_event_json(event) for event in self.timeline],
            "cost": self.cost,
            "trace": self.trace.content,
            "trace_status": self.trace.status,
        }


async def find_call(
    control: Control, actor: AdminKey, workspace_id: str, call_id: str, *, with_content: bool = True
) -> CallDetails:
    """Return the call of this workspace. Raises `NotFound`, also for text that is not an id, and `AdminForbidden`.

    An admin key that reads the content of its trace leaves an audit entry.
    """
    workspace = await find_workspace(control, actor, workspace_id)
    bounds = call_id[:-1], f"{call_id}0"  # which are not included
    usages, shards = control.usages, workspace.shards
    records = await usages.records(workspace.id, *bounds, _NEIGHBOURS, shards) if is_id(call_id) else ()
    for record in records:
        if record.get("id") == call_id:
            trace = await find_trace(control, actor, record, with_content=with_content)
            return CallDetails(record, timeline_events(record), _cost(record, call_id), trace)
    line_trace = await find_line_trace(control, actor, workspace.id, call_id) if with_content else None
    if line_trace is not None:
        return CallDetails(None, (), None, line_trace)
    message = f"No call of this workspace has the id {call_id[:80]!r}, or it has not ended yet."
    raise NotFound(message, param="id")


def _cost(record: Mapping[str, object], call_id: str) -> Sequence[Mapping[str, object]] | None:
    model = load_catalog().find_model(f"{record.get('provider')}/{record.get('answered_model')}")
    tokens = TokenCounts(
        input=_count(record, "input_tokens"),
        output=_count(record, "output_tokens"),
        cached=_count(record, "cached_tokens"),
        written=_count(record, "written_tokens"),
        reasoning=_count(record, "reasoning_tokens"),
        searches=_count(record, "searches"),
    )
    parts = None if model is None else cost_parts(model, tokens, ulid_time(call_id))
    if parts is None:
        return None
    return [
        {"kind": part.kind, "count": part.count, "rate_usd": _money(part.rate_usd), "cost_usd": _money(part.cost_usd)}
        for part in parts
    ]


def _count(record: Mapping[str, object], name: str) -> int:
    return int(str(record.get(name) or 0))


def _money(amount: Decimal) -> str:
    return plain_decimal(amount)


def _event_json(event: CallEvent) -> dict[str, object]:
    return {"at": event.seconds, "kind": event.kind, "detail": event.detail, "deployment": event.deployment}
