"""Compacts a conversation: a call that asks its model for a summary, whose reply is an item that replaces the items.

Source: https://platform.openai.com/docs/api-reference/responses/compact (2026-11).
"""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from tidegate.chat.completion import Completion
from tidegate.chat.parse import decode_body
from tidegate.chat.request import ChatRequest
from tidegate.domain.operation import Reply, Request
from tidegate.json import Json, JsonObject
from tidegate.surfaces.responses.request import build_request, check_references, input_items
from tidegate.surfaces.responses.response import notes_of
from tidegate.surfaces.responses.state_fields import StateFields, read_state
from tidegate.surfaces.responses.summaries import PROMPT, summary_item
from tidegate.surfaces.responses.usage import response_usage

_FIELDS = ("model", "instructions", "prompt_cache_key", "prompt_cache_retention", "service_tier", "reasoning")


def parse(body: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Return the request for the summary. Raises `InvalidRequest`, `NeedsState` for items that are kept."""
    raw = decode_body(body)
    state = read_state(raw)
    check_references(raw, state, build)
    return build(raw, state, len(body))


def build(raw: JsonObject, state: StateFields, size: int) -> ChatRequest:
    """Return the request for the summary of all items in the body. Nothing of the call is kept."""
    items = input_items(raw)
    asked: JsonObject = {name: raw[name] for name in _FIELDS if raw.get(name) is not None}
    asked["input"] = [*items, {"type": "message", "role": "user", "content": PROMPT}]
    request = build_request(asked, StateFields(store=False), size)
    origin = request.origin
    if origin is None:
        return request
    notes = replace(notes_of(request), raw={**raw, "input": items})
    return replace(request, origin=replace(origin, body=None, notes=notes))


def compacted(reply: Reply, request: Request) -> JsonObject:
    """Return the messages of the user, and the summary of the rest as one item."""
    completion = cast(Completion, reply)
    suffix = str(reply["id"]).removeprefix("resp_")
    summary = summary_item(f"cmp_{suffix}", completion["choices"][0]["message"]["content"] or "")
    return {
        "id": f"resp_{suffix}",
        "object": "response.compaction",
        "created_at": cast(Json, reply.get("created")) or 0,
        "output": [*_users_messages(input_items(notes_of(request).raw), suffix), summary],
        "usage": response_usage(cast("Mapping[str, object] | None", reply.get("usage"))),
    }


def _users_messages(items: list[Json], suffix: str) -> list[Json]:
    messages: list[Json] = []
    for number, item in enumerate(items):
        if isinstance(item, dict) and item.get("role") == "user":
            text = item.get("content")
            content: Json = [{"type": "input_text", "text": text}] if isinstance(text, str) else text
            message: JsonObject = {"id": f"msg_{suffix}_{number}", "type": "message", "status": "completed", **item}
            messages.append({**message, "content": content})
    return messages
