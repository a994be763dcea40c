"""Conversations: items that requests go on from and add to, under an id that does not change.

| path | what it does |
|---|---|
| `POST /conversations` | creates one, with up to 20 items |
| `GET`, `POST`, `DELETE /conversations/{id}` | shows it, changes its metadata, deletes it |
| `GET`, `POST /conversations/{id}/items` | its items, by pages; adds up to 20 items |
| `GET`, `DELETE /conversations/{id}/items/{item id}` | one item |

A conversation is kept for 30 days after its last change. If two requests change one at a time, the last one wins.

Source: https://platform.openai.com/docs/api-reference/conversations (2026-11).
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import gateway_of, json_reply
from tidegate.api.item_pages import page_of
from tidegate.api.request_body import read_json_body
from tidegate.chat.parse import decode_body
from tidegate.domain.ids import ulid
from tidegate.domain.response_state import (
    STATE_SECONDS,
    ResponseState,
    conversation_not_found,
    item_not_found,
    pack_state,
)
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.pipeline.kept_responses import StateReader, with_ids

MAX_NEW_ITEMS = 20
MAX_BODY_BYTES = 10 * 1024 * 1024


async def answer(
    request: Request, reader: StateReader, conversation_id: str | None, part: str | None, item_id: str | None
) -> Response:
    """Answer the request. Raises `HTTPException` for unknown paths and methods, and `TidegateError`."""
    route = (request.method, part is not None, item_id is not None)
    if part not in (None, "items"):
        raise HTTPException(404)
    if conversation_id is None:
        if request.method != "POST":
            raise HTTPException(405, headers={"allow": "POST"})
        return await _create(request, reader)
    state = await _find(reader, conversation_id)
    match route:
        case "GET", False, _:
            return json_reply(state.response)
        case "POST", False, _:
            body = await _body(request)
            return await _keep(
                request, reader, ResponseState({**state.response, "metadata": _metadata(body)}, state.input)
            )
        case "DELETE", False, _:
            await reader.states.delete(reader.workspace_id, conversation_id)
            return json_reply({"id": conversation_id, "object": "conversation.deleted", "deleted": True})
        case "GET", True, False:
            return json_reply(page_of(state.input, request))
        case "POST", True, False:
            body = await _body(request)
            if body.get("items") is None:
                raise InvalidRequest("Missing required parameter: 'items'.", param="items")
            items = _new_items(body, ulid(gateway_of(request).clock()))
            await _keep(request, reader, ResponseState(state.response, [*state.input, *items]))
            return json_reply(page_of(items, request))
        case "GET", True, True:
            return json_reply(_item(state, str(item_id)))
        case "DELETE", True, True:
            removed = _item(state, str(item_id))
            return await _keep(
                request, reader, ResponseState(state.response, [item for item in state.input if item is not removed])
            )
        case _:
            allowed = "GET, POST, DELETE" if part is None else "GET, POST" if item_id is None else "GET, DELETE"
            raise HTTPException(405, headers={"allow": allowed})


async def _create(request: Request, reader: StateReader) -> Response:
    body, now = await _body(request), gateway_of(request).clock()
    suffix = ulid(now)
    conversation: JsonObject = {
        "id": f"conv_{suffix}",
        "object": "conversation",
        "created_at": int(now),
        "metadata": _metadata(body),
    }
    return await _keep(request, reader, ResponseState(conversation, _new_items(body, suffix)))


async def _keep(request: Request, reader: StateReader, state: ResponseState) -> Response:
    expires_at = gateway_of(request).clock() + STATE_SECONDS
    await reader.states.keep(reader.workspace_id, str(state.response["id"]), pack_state(state), expires_at)
    return json_reply(state.response)


async def _find(reader: StateReader, conversation_id: str) -> ResponseState:
    found = await reader.find(conversation_id) if conversation_id.startswith("conv_") else None
    if found is None:
        raise conversation_not_found(conversation_id)
    return found


async def _body(request: Request) -> JsonObject:
    return decode_body(await read_json_body(request.receive, dict(request.headers.raw), MAX_BODY_BYTES))


def _metadata(body: JsonObject) -> Json:
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidRequest("Invalid type for 'metadata': expected an object.", param="metadata")
    return metadata or {}


def _new_items(body: JsonObject, suffix: str) -> list[Json]:
    items = body.get("items")
    listed = items if isinstance(items, list) else []
    if (items is not None and items != listed) or not all(isinstance(item, dict) for item in listed):
        raise InvalidRequest("Invalid type for 'items': expected a list of items.", param="items")
    if len(listed) > MAX_NEW_ITEMS:
        raise InvalidRequest(f"At most {MAX_NEW_ITEMS} items can be added at a time.", param="items")
    return with_ids(listed, suffix)


def _item(state: ResponseState, item_id: str) -> Json:
    for item in state.input:
        if isinstance(item, dict) and item.get("id") == item_id:
            return item
    raise item_not_found(item_id)
