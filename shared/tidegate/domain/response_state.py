"""A stored response of the Responses API: the conversation up to it, which a later request can go on with.

The whole conversation is in every response: to go on takes one read, whatever came before, and a response that is
deleted breaks no other.

Source: https://platform.openai.com/docs/guides/conversation-state (responses are kept for 30 days, 2026-11).
"""

import zlib

import msgspec
from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.errors import InvalidRequest, NotFound
from tidegate.json import Json, JsonObject, decode, encode

STATE_DAYS = 30
STATE_SECONDS = STATE_DAYS * 86_400.0

MAX_UNPACKED_BYTES = 128 * 1024 * 1024


class ResponseState(Redacted, Struct, frozen=True):
    """A response as its caller got it, and all items that led to it: those of earlier responses, then its own."""

    response: JsonObject
    input: list[Json]

    @property
    def items(self) -> list[Json]:
        """The items of the conversation, up to those of this response."""
        output = self.response.get("output")
        return [*self.input, *(output if isinstance(output, list) else [])]


def pack_state(state: ResponseState) -> bytes:
    """Return the state as compressed JSON."""
    return zlib.compress(encode(state), 1)


def unpack_state(packed: bytes) -> ResponseState | None:
    """Return the state; None if it is invalid: written by another version."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_UNPACKED_BYTES)
        raw = decode(text) if unpacker.eof else None
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    match raw:
        case {"response": dict(response), "input": list(items)}:
            return ResponseState(response, items)
        case _:
            return None


def response_not_found(response_id: str) -> NotFound:
    """Return the error for a response that does not exist, in OpenAI's words."""
    return NotFound(f"Response with id '{response_id[:200]}' not found.", param="response_id")


class PreviousResponseNotFound(InvalidRequest):
    """A request goes on from a response that does not exist: in OpenAI's words, with its status and code."""

    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Previous response with id '{response_id[:200]}' not found.", param="previous_response_id")


def item_not_found(item_id: str) -> NotFound:
    """Return the error for a reference to an item that does not exist, in OpenAI's words."""
    message = (
        f"Item with id '{item_id[:200]}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    return NotFound(message, param="input")


def conversation_not_found(conversation_id: str) -> NotFound:
    """Return the error for a conversation that does not exist, in OpenAI's words."""
    return NotFound(f"Conversation with id '{conversation_id[:200]}' not found.", param="conversation")
