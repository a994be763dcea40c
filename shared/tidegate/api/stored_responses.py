"""Stored responses and conversations of the caller's workspace, by their ids.

| path | what it does |
|---|---|
| `GET /responses/{id}` | the response as its caller got it |
| `DELETE /responses/{id}` | deletes it; responses that went on from it stay |
| `GET /responses/{id}/input_items` | the items that led to it, by pages |
| `POST /responses/{id}/cancel` | refused: only background responses can be cancelled, and there are none |
| `/conversations…` | `api/conversations.py` |

Source: https://platform.openai.com/docs/api-reference/responses (2026-11).
"""

import re
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import authenticate, gateway_of, json_reply
from tidegate.api.item_pages import page_of
from tidegate.domain.response_state import ResponseState, response_not_found
from tidegate.errors import InvalidRequest
from tidegate.lazy import load
from tidegate.pipeline.kept_responses import StateReader

_PATH = re.compile(r"/(responses|conversations)(?:/([^/]+)(?:/(input_items|cancel|items)(?:/([^/]+))?)?)?")
_CONVERSATIONS = "tidegate.api.conversations"


async def answer(request: Request, prefixes: Sequence[str]) -> Response:
    """Answer the request. Raises `HTTPException` for unknown paths and methods, and `TidegateError`."""
    path: str = request.scope["path"]
    paths = (path.removeprefix(prefix) for prefix in prefixes if path.startswith(prefix))
    match = next(filter(None, map(_PATH.fullmatch, paths)), None)
    if match is None:
        raise HTTPException(404)
    kind, state_id, part, item_id = match.groups()
    reader = await open_reader(request)
    if kind == "conversations":
        return await load(_CONVERSATIONS, "answer")(request, reader, state_id, part, item_id)
    if item_id is not None:
        raise HTTPException(404)
    match request.method, part:
        case "GET", None:
            return await _show(request, reader, state_id)
        case "DELETE", None:
            await _find(reader, state_id)
            await reader.states.delete(reader.workspace_id, state_id)
            return json_reply({"id": state_id, "object": "response", "deleted": True})
        case "GET", "input_items":
            return json_reply(page_of((await _find(reader, state_id)).input, request))
        case "POST", "cancel":
            await _find(reader, state_id)
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        case _:
            posted = {"input_items": "GET", "cancel": "POST", "compact": "POST", "input_tokens": "POST"}
            allowed = posted.get(part or state_id, "GET, DELETE")
            raise HTTPException(405, headers={"allow": allowed})


async def open_reader(request: Request) -> StateReader:
    """Return what reads the states of the caller's workspace. Raises `TidegateError`, also if nothing is kept."""
    _, workspace = await authenticate(request)
    gateway = gateway_of(request)
    states = gateway.open_response_states()
    if states is None:
        message = "This gateway keeps no responses: TIDEGATE_RESPONSE_STATE is off. Send all items with each request."
        raise InvalidRequest(message, param="store")
    return StateReader(gateway, states, workspace.id)


async def _show(request: Request, reader: StateReader, response_id: str) -> Response:
    for name in ("stream", "starting_after"):
        if request.query_params.get(name, "false") != "false":
            message = "A stored response cannot be streamed again: get it whole."
            raise InvalidRequest(message, param=name)
    return json_reply((await _find(reader, response_id)).response)


async def _find(reader: StateReader, response_id: str) -> ResponseState:
    found = await reader.find(response_id, is_awaited=True) if response_id.startswith("resp_") else None
    if found is None:
        raise response_not_found(response_id)
    return found
