"""A chat completion as a response.

Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11).
"""

from typing import cast

from tidegate.chat.completion import Completion, Delta
from tidegate.domain.operation import Reply, Request
from tidegate.domain.origin import NATIVE
from tidegate.json import JsonObject
from tidegate.surfaces.responses.event_log import EventLog
from tidegate.surfaces.responses.native_events import own_response
from tidegate.surfaces.responses.response import ResponseHead, end_status, open_output

_ORDER = (("reasoning", "reasoning_details"), ("content", "annotations"), ("refusal",), ("images",))


def response(reply: Reply, request: Request) -> JsonObject:
    """Return the response of a provider that speaks this dialect, or that for a completion. It may be kept."""
    native = reply.get(NATIVE)
    if native is None:
        whole = _translated(reply, request)
    else:
        whole = own_response(cast(JsonObject, native), request, str(reply["id"]))
    if request.origin is not None and request.origin.conversation is not None:
        request.origin.conversation.read_response = lambda: whole
    return whole


def _translated(reply: Reply, request: Request) -> JsonObject:
    """Return the response for the first choice of a completion: what the end of its stream would have."""
    choice = cast(Completion, reply)["choices"][0]
    head = ResponseHead(request, reply)
    output = open_output(request, head.suffix, EventLog())
    message = choice["message"]
    for names in _ORDER:
        fields = {name: value for name, value in cast(JsonObject, message).items() if name in names and value}
        if fields:
            output.add(cast(Delta, fields), choice["logprobs"])
    for index, call in enumerate(message.get("tool_calls") or ()):
        output.add({"tool_calls": [{**call, "index": index}]})
    output.end(end_status(choice["finish_reason"]))
    return head.ended(choice["finish_reason"], output.items, reply)
