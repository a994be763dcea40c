"""The Response object: what the request said, and what came of it.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11).
"""

from collections.abc import Mapping
from typing import cast

from tidegate.domain.operation import Request
from tidegate.json import Json, JsonObject
from tidegate.lazy import load
from tidegate.surfaces.responses.calls import CallNames
from tidegate.surfaces.responses.event_log import EventLog
from tidegate.surfaces.responses.output import ResponseOutput
from tidegate.surfaces.responses.request import Notes
from tidegate.surfaces.responses.state_fields import StateFields
from tidegate.surfaces.responses.usage import response_usage

_DEFAULTS: JsonObject = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The fields of a request that its response repeats, and what they are for one that leaves them out."""

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def end_status(finish_reason: object) -> str:
    """Return the status of a response that has ended for this reason."""
    return "incomplete" if finish_reason in _INCOMPLETE else "completed"


def notes_of(request: Request) -> Notes:
    """Return what the request's surface noted for the reply."""
    notes = request.origin.notes if request.origin is not None else None
    return notes if isinstance(notes, Notes) else Notes({}, CallNames(), StateFields())


def open_output(request: Request, suffix: str, log: EventLog) -> ResponseOutput:
    """Return the output of a reply to the request; `suffix` ends the ids of its items."""
    notes = notes_of(request)
    if notes.compacts:
        return load("tidegate.surfaces.responses.summary_output", "SummaryOutput")(suffix, notes.names, log)
    return ResponseOutput(suffix, notes.names, log)


class ResponseHead:
    """The fields of a response that do not change until its end."""

    def __init__(self, request: Request, first: Mapping[str, object]) -> None:
        """`first` is the reply, or the first chunk of it."""
        notes = notes_of(request)
        raw, state = notes.raw, notes.state
        conversation = request.origin.conversation if request.origin is not None else None
        sent = {name: raw[name] for name in _DEFAULTS if raw.get(name) is not None}
        self.id = str(first.get("id") or "resp_0")
        self.suffix = self.id.removeprefix("resp_")
        self._fields: JsonObject = {
            **_DEFAULTS,
            **sent,
            "id": self.id,
            "object": "response",
            "created_at": cast(Json, first.get("created")) or 0,
            "model": str(first.get("model") or request.model),
            "reasoning": {"effort": None, "summary": None, **_object(raw.get("reasoning"))},
            "text": {"format": {"type": "text"}, **_object(raw.get("text"))},
            "store": conversation is not None and conversation.is_on,
            "background": state.is_background,
            "previous_response_id": state.previous_response_id,
            "conversation": {"id": state.conversation_id} if state.conversation_id else None,
        }

    def response(self, status: str, output: list[Json], **fields: Json) -> JsonObject:
        """Return the response in a state, with other values of some fields."""
        nothing: JsonObject = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._fields, **nothing, "status": status, "output": output, **fields}

    def ended(self, finish_reason: object, output: list[Json], last: Mapping[str, object]) -> JsonObject:
        """Return the response at its end. `last` has the usage, and the service tier if the provider named it."""
        reason = _INCOMPLETE.get(str(finish_reason))
        usage = response_usage(cast("Mapping[str, object] | None", last.get("usage")))
        tier: JsonObject = {"service_tier": str(last["service_tier"])} if last.get("service_tier") else {}
        if reason is None:
            return self.response("completed", output, usage=usage, **tier)
        return self.response("incomplete", output, usage=usage, incomplete_details={"reason": reason}, **tier)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
