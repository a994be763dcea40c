"""A request on its way to Cohere: what is written, what of the caller's is left, and what had to be left out."""

import re
from dataclasses import dataclass, field
from hashlib import sha256

from tidegate.chat.json import Json, JsonObject
from tidegate.chat.request import ChatRequest

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9_]")
_TOP = re.compile(r"[.\[]")
_LEGACY = {"tools": "functions", "tool_choice": "function_call"}


@dataclass(slots=True)
class Draft:
    """`left` shrinks as its fields are written to `body`. `names` are the caller's names of tools by ours."""

    request: ChatRequest
    thinks: bool
    body: JsonObject
    left: JsonObject
    legacy_functions: bool = False
    names: dict[str, str] = field(default_factory=dict[str, str])
    documents: list[Json] = field(default_factory=list[Json])
    ignored: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Remove a field from what is left and give its value, None where it is not there."""
        return self.left.pop(name, None)

    def report(self, path: str) -> None:
        """Report what cannot be honoured, by the name that the caller gave it."""
        top = _TOP.split(path, maxsplit=1)[0]
        name = _LEGACY.get(top, top) if self.legacy_functions else top
        if name in self.request.body:
            self.ignored.append(name + path[len(top) :])

    def spell(self, name: str) -> str:
        """The name of a tool in letters that Cohere takes, the same for the same name.

        Source: https://docs.cohere.com/v1/reference/chat (`tools.name`): a-z, A-Z, 0-9, _ and no digit at the start.
        """
        if _NAME.fullmatch(name):
            return name
        wire = f"{_FOREIGN.sub('_', name)}_{sha256(name.encode()).hexdigest()[:6]}"
        wire = f"_{wire}" if wire[0].isdigit() else wire
        self.names[wire] = name
        return wire
