"""Stored responses: puts what a request refers to into its input, and stores what a caller may go on from.

Loaded with the first call that needs either. `domain.response_state` says what is stored.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Protocol, cast

from tidegate.domain.call import Call
from tidegate.domain.ids import ulid_time
from tidegate.domain.operation import Request
from tidegate.domain.origin import ConversationToStore, NeedsState
from tidegate.domain.response_state import (
    STATE_SECONDS,
    PreviousResponseNotFound,
    ResponseState,
    conversation_not_found,
    item_not_found,
    pack_state,
    unpack_state,
)
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.ports import ResponseStates

log = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
"""The time limit for storing a response. Its caller has it already."""

RECENT_SECONDS = 900.0
RETRY_SECONDS = (0.05, 0.15, 0.3, 0.5)
"""A caller may go on from a response before it is stored: one of a call that began lately is looked for again."""

MAX_REFERENCES = 100

_OWN_ID = re.compile(r"[a-z]{2,8}_(?P<call>[0-9A-HJKMNP-TV-Z]{26})(?:_\w+)?")
_ALIAS = b"item of "

_ITEM_BYTES = 1_000
"""About the size of an item, which decides whether a thread handles them."""


class _StateFields(Protocol):
    """See `surfaces.responses.state_fields`."""

    previous_response_id: str | None
    conversation_id: str | None
    prompt: JsonObject | None


async def with_kept_items(components: Components, workspace: Workspace, needs: NeedsState, size: int) -> Request:
    """Return the request, whose input has all items that it refers to. Raises `InvalidRequest` and `NotFound`."""
    state, raw, states = cast(_StateFields, needs.state), needs.raw, components.open_response_states()
    if state.prompt is not None:
        message = "'prompt' is not supported: it belongs to an account of OpenAI. Send its text as instructions."
        raise InvalidRequest(message, param="prompt")
    if states is None:
        message = f"{needs.param!r} refers to something that is kept, and this gateway keeps nothing. Send all items."
        raise InvalidRequest(message, param=needs.param)
    if state.previous_response_id is not None and state.conversation_id is not None:
        message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise InvalidRequest(message, param="previous_response_id")
    input_items = load("tidegate.surfaces.responses.request", "input_items")
    reader = StateReader(components, states, workspace.id)
    earlier = await reader.earlier_items(state)
    items = await reader.resolve(input_items(raw), earlier)
    body: JsonObject = {**raw, "input": [*earlier, *items]}
    build = partial(needs.build, body, state, size)
    return cast(Request, await offload(size + len(earlier) * _ITEM_BYTES, build))


class StateReader:
    """Reads what is kept in one workspace."""

    def __init__(self, components: Components, states: ResponseStates, workspace_id: str) -> None:
        self._components, self.states, self.workspace_id = components, states, workspace_id

    async def earlier_items(self, state: _StateFields) -> list[Json]:
        """Return the items of the response or the conversation that a request goes on from."""
        if state.previous_response_id is not None:
            found = await self.find(state.previous_response_id, is_awaited=True)
            if found is None:
                raise PreviousResponseNotFound(state.previous_response_id)
            return found.items
        if state.conversation_id is not None:
            found = await self.find(state.conversation_id, is_awaited=True)
            if found is None:
                raise conversation_not_found(state.conversation_id)
            return found.items
        return []

    async def resolve(self, items: list[Json], earlier: list[Json]) -> list[Json]:
        """Return the items with those that references name in their place. Raises `NotFound`."""
        named = [(index, _referred_id(item)) for index, item in enumerate(items)]
        wanted = {index: item_id for index, item_id in named if item_id is not None}
        if not wanted:
            return items
        if len(wanted) > MAX_REFERENCES:
            raise InvalidRequest(f"At most {MAX_REFERENCES} items can be referred to: send them.", param="input")
        known = _by_id(earlier)
        missing = [each for each in dict.fromkeys(wanted.values()) if each not in known]
        owners = await asyncio.gather(*map(self._owner_of, missing))
        for owner in filter(None, dict.fromkeys(owners)):  # one at a time: each can be large
            found = await self.find(owner, is_awaited=True)
            if found is None:  # do not wait for the others as well
                break
            known |= {name: item for name, item in _by_id(found.items).items() if name in missing}
        for item_id in wanted.values():
            if item_id not in known:
                raise item_not_found(item_id)
        return [known[wanted[index]] if index in wanted else item for index, item in enumerate(items)]

    async def find(self, state_id: str, *, is_awaited: bool = False) -> ResponseState | None:
        """Return what is kept under an id. `is_awaited`: wait a moment for a response that is being stored."""
        content = await self.states.find(self.workspace_id, state_id)
        if content is None and is_awaited and self._is_recent(state_id):
            for seconds in RETRY_SECONDS:
                await asyncio.sleep(seconds)
                content = await self.states.find(self.workspace_id, state_id)
                if content is not None:
                    break
        return None if content is None else await offload(len(content), partial(unpack_state, content))

    def _is_recent(self, state_id: str) -> bool:
        match = _OWN_ID.fullmatch(state_id)
        return match is not None and self._components.clock() - ulid_time(match["call"]) < RECENT_SECONDS

    async def _owner_of(self, item_id: str) -> str | None:
        """Return the id of the response that has an item: the item's id tells, unless its provider has made it."""
        match = _OWN_ID.fullmatch(item_id)
        if match is not None:
            return f"resp_{match['call']}"
        alias = await self.states.find(self.workspace_id, item_id)
        return alias.removeprefix(_ALIAS).decode() if alias is not None and alias.startswith(_ALIAS) else None


async def keep_response(components: Components, call: Call, conversation: ConversationToStore) -> None:
    """Store the response to a call that has ended, whole or not. What cannot be stored is lost: the log says so."""
    # Results of batches are files.
    may_store = conversation.is_on and not conversation.is_stored and call.batch_id is None
    response = conversation.read_response() if may_store and conversation.read_response is not None else None
    states = components.open_response_states()
    if response is None or states is None or response.get("status") == "failed":
        return
    if not response.get("output") and response.get("status") != "completed":
        return
    if response.get("id") != call.surface.reply_id(call.id, call.started_at):  # a reply that was given again
        return
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await _store_response(states, call, response, conversation)
            conversation.is_stored = True
    # A call that is answered must not fail for it.
    except Exception as error:
        log.warning("response.lost", extra={"call_id": call.id, "reason": type(error).__name__})


async def _store_response(
    states: ResponseStates, call: Call, response: JsonObject, conversation: ConversationToStore
) -> None:
    expires_at, workspace_id = call.started_at + STATE_SECONDS, call.workspace.id
    state = ResponseState(response, with_ids(conversation.items, call.id))
    content = await offload(call.request.size, partial(pack_state, state))
    response_id, output = str(response["id"]), response.get("output")
    named = _by_id(output if isinstance(output, list) else [])
    alias = _ALIAS + response_id.encode()
    await asyncio.gather(
        states.keep(workspace_id, response_id, content, expires_at),
        *(states.keep(workspace_id, each, alias, expires_at) for each in named if not _OWN_ID.fullmatch(each)),
    )
    if conversation.conversation_id is not None:
        await _extend(states, workspace_id, conversation.conversation_id, state, expires_at)


async def _extend(
    states: ResponseStates, workspace_id: str, conversation_id: str, state: ResponseState, expires_at: float
) -> None:
    """Replace the items of a conversation by those up to a response. The last one of two at a time wins."""
    content = await states.find(workspace_id, conversation_id)
    conversation = None if content is None else unpack_state(content)
    if conversation is not None:  # else it was deleted meanwhile
        extended = pack_state(ResponseState(conversation.response, state.items))
        await states.keep(workspace_id, conversation_id, extended, expires_at)


def with_ids(items: Sequence[Json], call_id: str) -> list[Json]:
    """Return items of an input as OpenAI lists them: each with a type and an id, texts as parts."""
    return [_listed(item, f"{call_id}_i{number}") for number, item in enumerate(items)]


def _listed(item: Json, suffix: str) -> Json:
    if not isinstance(item, dict):
        return item
    kind = str(item.get("type") or "message")
    listed: JsonObject = {"type": kind, **item}
    if not isinstance(item.get("id"), str):
        listed["id"] = f"{_PREFIXES.get(kind, 'item')}_{suffix}"
    text = item.get("content")
    if kind == "message" and isinstance(text, str):
        is_output = item.get("role") == "assistant"
        part: JsonObject = {"type": "output_text", "annotations": []} if is_output else {"type": "input_text"}
        listed["content"] = [{**part, "text": text}]
    if kind == "message":
        listed.setdefault("status", "completed")
    return listed


_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


def _referred_id(item: Json) -> str | None:
    """Return the id of the item that a reference names, None for an item itself. The type may be left out."""
    match item:
        case {"type": "item_reference", "id": str(item_id)}:
            return item_id
        case {"id": str(item_id), **rest} if not any(value is not None for value in rest.values()):
            return item_id
        case _:
            return None


def _by_id(items: Sequence[Json]) -> dict[str, Json]:
    return {str(item["id"]): item for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)}
