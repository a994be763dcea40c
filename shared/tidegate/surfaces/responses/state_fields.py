"""Reads what a request of the Responses API says of kept responses and conversations.

The translation needs a request that is whole: `parse` in `request.py` refuses what refers to something kept. Who has
the kept items puts them into `input`, and calls `build_request` with the fields as they were.

    state = read_state(raw)
    state.references     # the fields that must be resolved: ("previous_response_id",)

Source: https://platform.openai.com/docs/guides/conversation-state (2026-11).
"""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject


class StateFields(Struct, frozen=True):
    """The fields of a request that are about state. `item_ids` are those that the input refers to.

    `store` is None if the caller did not say; OpenAI keeps such a response.
    """

    store: bool | None = None
    previous_response_id: str | None = None
    conversation_id: str | None = None
    item_ids: tuple[str, ...] = ()
    is_background: bool = False
    prompt: JsonObject | None = None

    @property
    def references(self) -> tuple[str, ...]:
        """The paths of what refers to kept items, which must be in the input before a request is translated."""
        named = {
            "previous_response_id": self.previous_response_id,
            "conversation": self.conversation_id,
            "input": self.item_ids,
            "prompt": self.prompt,
        }
        return tuple(name for name, value in named.items() if value)


def read_state(raw: JsonObject) -> StateFields:
    """Return the fields of a request. Raises `InvalidRequest` for one of another type."""
    store, background, prompt = raw.get("store"), raw.get("background"), raw.get("prompt")
    for name, value in (("store", store), ("background", background)):
        if value is not None and not isinstance(value, bool):
            raise _invalid(name, "a boolean")
    if prompt is not None and not isinstance(prompt, dict):
        raise _invalid("prompt", "an object")
    previous_id = raw.get("previous_response_id")
    if previous_id is not None and not isinstance(previous_id, str):
        raise _invalid("previous_response_id", "a string")
    return StateFields(
        store=store if isinstance(store, bool) else None,
        previous_response_id=previous_id,
        conversation_id=_conversation_id(raw.get("conversation")),
        item_ids=tuple(_item_ids(raw.get("input"))),
        is_background=background is True,
        prompt=prompt,
    )


def _conversation_id(conversation: Json) -> str | None:
    match conversation:
        case None:
            return None
        case str(conversation_id) | {"id": str(conversation_id)}:
            return conversation_id
        case _:
            raise _invalid("conversation", "an id, or an object with one")


def _item_ids(items: Json) -> Iterator[str]:
    """Yield the ids of references. The type may be left out, or null."""
    for item in items if isinstance(items, list) else ():
        match item:
            case {"type": "item_reference", "id": str(item_id)}:
                yield item_id
            case {"id": str(item_id), **rest} if not any(value is not None for value in rest.values()):
                yield item_id
            case _:
                pass


def _invalid(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid type for '{name}': expected {expected}.", param=name)
