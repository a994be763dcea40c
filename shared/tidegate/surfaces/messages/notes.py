"""Facts about a request, besides the completion, on which its reply depends: see `Origin.notes`."""

from typing import Literal

from msgspec import Struct

from tidegate.domain.operation import Request
from tidegate.json import Json, JsonObject

Thinking = Literal["shown", "omitted", "none"]


class Notes(Struct, frozen=True):
    """`thinking`: with its text, with its signature alone, or not at all, because the caller did not ask for it.

    `stop_sequence` is the one that the caller set, if it set one only: completions do not say which one ended them.
    """

    thinking: Thinking = "none"
    stop_sequence: str | None = None


NO_NOTES = Notes()


def notes_of(request: Request) -> Notes:
    """Return the notes of a request."""
    notes = request.origin.notes if request.origin is not None else None
    return notes if isinstance(notes, Notes) else NO_NOTES


def take_notes(raw: JsonObject) -> Notes:
    """Return the notes of a request's body."""
    match raw.get("stop_sequences"):
        case [str(sequence)]:
            return Notes(_thinking(raw.get("thinking")), sequence)
        case _:
            return Notes(_thinking(raw.get("thinking")))


def _thinking(thinking: Json) -> Thinking:
    match thinking:
        case {"type": "enabled" | "adaptive"}:
            return "omitted" if thinking.get("display") == "omitted" else "shown"
        case _:
            return "none"
