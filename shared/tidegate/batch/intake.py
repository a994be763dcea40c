"""Requests that arrive as messages or events, from whoever IAM lets send them. No key is asked for.

A message has one request, or names an object of its workspace that becomes a batch:

    {"workspace_id": "ws_one", "custom_id": "a", "url": "/v1/chat/completions", "body": {…}, "reply_to": "answers"}
    {"workspace_id": "ws_one", "object": "workspaces/ws_one/held/january.jsonl", "metadata": {"month": "1"}}

A message that is not acceptable is answered with the reason and done: it never comes again.
"""

import logging
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.batches import parse_mode, parse_window
from tidegate.batch.components import BatchComponents
from tidegate.batch.dropped_objects import WINDOW, StoredObject, create_once, find_place, new_batch
from tidegate.batch.fields import Fields, invalid
from tidegate.batch.keys import dropped_prefix, rejected_prefix, results_prefix
from tidegate.batch.ports import TryLater
from tidegate.batch.results import Result, not_asked, readable
from tidegate.batch.single_calls import answer_request, parse_request
from tidegate.domain.batch import BatchFault
from tidegate.errors import (
    GuardrailUnavailable,
    IdempotencyInFlight,
    InvalidRequest,
    NotFound,
    RateLimited,
    StoreUnavailable,
    TidegateError,
    UpstreamError,
    WorkspaceForbidden,
)
from tidegate.json import Json, JsonObject, decode, encode

log = logging.getLogger(__name__)

MAX_TRIES = 4
"""Deliveries of a message whose call fails for a passing reason; after these, the failure is its answer."""

FIRST_RETRY_SECONDS = 15.0
LAST_RETRY_SECONDS = 900.0
IN_FLIGHT_SECONDS = 120.0

MAX_REPLY_BYTES = 240 * 1024
"""A queue takes 256 KB if its owner has not set another maximum; larger answers are stored, and named by the reply."""

_WORKSPACE_FIELDS = 64


class Envelope(Struct, frozen=True):
    """The facts about a message beside its content. `attempt` counts its deliveries from 1, `at` is its time.

    `correlation` are attributes that are repeated in its answer.
    """

    id: str
    attempt: int = 1
    at: float = 0.0
    correlation: tuple[tuple[str, str], ...] = ()


class _ReplyAddress(NamedTuple):
    """Where the answer goes: a queue, or without one, the bucket, if the workspace is known."""

    queue: str | None
    workspace_id: str | None
    custom_id: str | None


async def take_message(components: BatchComponents, envelope: Envelope, content: Json, deadline: float) -> None:
    """Answer the request in a message, or make a batch of the object that it names.

    Raises `TryLater` for a call that fails for a passing reason, and `StoreUnavailable`.
    """
    fields = content if isinstance(content, dict) else {}
    custom_id, workspace_id = fields.get("custom_id"), fields.get("workspace_id")
    name = readable(custom_id) if isinstance(custom_id, str) and custom_id else None
    address = _ReplyAddress(_find_queue(components, None), None, name)
    try:
        if not isinstance(content, dict):
            raise invalid("The message is not a JSON object.", None, "invalid_json_line")
        workspace_id = Fields(fields).text("workspace_id", max_length=_WORKSPACE_FIELDS)
        caller = await components.callers.find_caller(workspace_id, None)
        address = _reply_address(components, address, fields, workspace_id)
        if "object" in fields:
            await _take_reference(components, envelope, fields, workspace_id)
            return
        parsed = parse_request(components, fields, _reference(envelope))
        if isinstance(parsed, BatchFault):
            raise invalid(parsed.message, parsed.param, parsed.code)
    except (InvalidRequest, NotFound, WorkspaceForbidden) as error:
        await _reject(components, envelope, address, error)
        return
    request = replace(parsed, idempotency_key=f"event:{envelope.id}"[:255])
    result, error = await answer_request(components, caller, request, deadline)
    if error is not None:
        _raise_try_later(error, envelope.attempt)
    await _reply(components, envelope, address, result)
    facts = {"workspace_id": workspace_id, "message_id": envelope.id, "code": error.code if error else None}
    log.info("message.answered", extra=facts)


def parse_content(text: str) -> Json:
    """Return the content of a message; None if it is not JSON, which `take_message` refuses."""
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return None


async def _take_reference(
    components: BatchComponents, envelope: Envelope, fields: JsonObject, workspace_id: str
) -> None:
    """Make a batch of an object that the message names. Raises `InvalidRequest`, `NotFound`, `StoreUnavailable`."""
    reader = Fields(fields)
    key, metadata = reader.text("object", max_length=1024), reader.metadata()
    window, seconds = parse_window(reader.maybe_text("completion_window") or WINDOW)
    mode = parse_mode(metadata)
    place = find_place(key)
    if place is None or place.workspace_id != workspace_id:
        raise NotFound(f"The workspace has no object {key[:80]!r}: its objects begin with workspaces/{workspace_id}/.")
    if key.startswith(dropped_prefix(workspace_id)):
        raise invalid("Objects below in/ are taken without a message: choose another folder.", "object", None)
    size = await components.objects.size(key)
    if size is None:
        raise NotFound(f"There is no object {key[:80]!r}.", param="object")
    stored = StoredObject(
        bucket="", key=key, version=envelope.id, size=size, event_id=envelope.id, at=envelope.at or components.clock()
    )
    batch = await new_batch(components, stored, workspace_id, place.name, size)
    if isinstance(batch, BatchFault):
        raise invalid(batch.message, "object", batch.code)
    chosen = {"completion_window": window, "expires_at": batch.created_at + seconds, "mode": mode}
    metadata = batch.metadata if metadata is None else metadata
    await create_once(components, stored, replace(batch, source="message", metadata=metadata, **chosen))


def _reply_address(
    components: BatchComponents, address: _ReplyAddress, fields: JsonObject, workspace_id: str
) -> _ReplyAddress:
    reply_to = Fields(fields).maybe_text("reply_to")
    queue = _find_queue(components, reply_to)
    if reply_to is not None and queue is None:
        raise invalid("reply_to must name a queue that the operator has allowed.", "reply_to", "invalid_value")
    return address._replace(queue=queue, workspace_id=workspace_id)


def _find_queue(components: BatchComponents, reply_to: str | None) -> str | None:
    return components.replies.find_queue(reply_to) if components.replies is not None else None


def _raise_try_later(error: TidegateError, attempt: int) -> None:
    """Raise `TryLater` for a failure that may pass, unless it has lasted for `MAX_TRIES` deliveries."""
    if isinstance(error, IdempotencyInFlight):  # another delivery of this message is still at work
        raise TryLater(IN_FLIGHT_SECONDS) from error
    is_passing = isinstance(error, GuardrailUnavailable | RateLimited | StoreUnavailable)
    is_passing |= isinstance(error, UpstreamError) and error.retryable
    if is_passing and attempt < MAX_TRIES:
        seconds = max(FIRST_RETRY_SECONDS * 3 ** (attempt - 1), error.retry_after_seconds or 0.0)
        raise TryLater(min(seconds, LAST_RETRY_SECONDS)) from error


async def _reject(
    components: BatchComponents, envelope: Envelope, address: _ReplyAddress, error: TidegateError
) -> None:
    code = error.code or "invalid_request"
    log.warning("message.rejected", extra={"message_id": envelope.id, "code": code, "param": error.param})
    result = not_asked(_reference(envelope), 0, address.custom_id, code, error.message)
    if address.queue is not None:
        await _reply(components, envelope, address, result)
    elif address.workspace_id is not None:
        reason: Json = {"message_id": envelope.id, "errors": [{"code": code, "message": readable(error.message)}]}
        key = f"{rejected_prefix(address.workspace_id)}messages/{_reference(envelope)}.reason.json"
        await components.objects.put(key, encode(reason))


async def _reply(components: BatchComponents, envelope: Envelope, address: _ReplyAddress, result: Result) -> None:
    """Send the answer to the reply queue. One that does not fit, or has no queue, is stored among the results."""
    body, attributes = result.text, {"message_id": envelope.id, **dict(envelope.correlation)}
    attributes["status"] = "failed" if result.file == "e" else "completed"
    if address.custom_id is not None and address.custom_id.isprintable():
        attributes["custom_id"] = address.custom_id
    if address.workspace_id is not None:
        attributes["workspace_id"] = address.workspace_id
        if address.queue is None or len(body) > MAX_REPLY_BYTES:
            key = f"{results_prefix(address.workspace_id)}messages/{_reference(envelope)}.jsonl"
            await components.objects.put(key, body + b"\n")
            body = encode({"custom_id": address.custom_id, "object": key})
    if components.replies is not None and address.queue is not None:
        await components.replies.send(address.queue, body, attributes)


def _reference(envelope: Envelope) -> str:
    """The message's id, of characters that names of objects may have."""
    return "".join(character for character in envelope.id if character.isascii() and character.isalnum())[:64]
