"""A request to Converse on its way out: what is written of it, what is left to translate, what had to be left out."""

import re
from dataclasses import dataclass, field
from hashlib import sha256

from tidegate.chat.json import Json, JsonObject
from tidegate.domain.call import Call
from tidegate.providers.bedrock.family import Family
from tidegate.providers.dialect.draft import NEUTRAL

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_MAX_NAME = 64
_LEGACY = {"tools": "functions", "tool_choice": "function_call"}


@dataclass(slots=True)
class Draft:
    """`body` is Converse's, `extra` its `additionalModelRequestFields`; `left` are the caller's fields until taken.

    `names` are the caller's tool names by those that had to be spelt otherwise, `used_tools` those that the turns so
    far have called, `documents` the names that documents have. `thinks`: the model was asked to.
    """

    call: Call
    model: str
    family: Family
    left: JsonObject
    body: JsonObject = field(default_factory=dict[str, Json])
    extra: JsonObject = field(default_factory=dict[str, Json])
    names: dict[str, str] = field(default_factory=dict[str, str])
    used_tools: list[str] = field(default_factory=list[str])
    documents: list[str] = field(default_factory=list[str])
    answer_tool: str | None = None
    thinks: bool = False
    ignored: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Take a field of the caller's, None where it was not sent."""
        return self.left.pop(name, None)

    def leave_out(self, name: str, value: Json) -> None:
        """Report a field that cannot be said, unless it asks for nothing."""
        if value is not None and not (name in NEUTRAL and value == NEUTRAL[name]):
            self.report(name)

    def report(self, path: str) -> None:
        """Report a field by the name that the caller gave it; what the caller did not send needs no report."""
        root = re.split(r"[.\[]", path, maxsplit=1)[0]
        if root not in self.call.request.body:
            path = path.replace(root, _LEGACY.get(root, ""), 1)
            root = _LEGACY.get(root, "")
        if root in self.call.request.body:
            self.ignored.append(path)

    def tool_name(self, name: str) -> str:
        """The name as Converse takes it: `[a-zA-Z0-9_-]{1,64}`."""
        if name and len(name) <= _MAX_NAME and not _FORBIDDEN.search(name):
            return name
        spelt = f"{_FORBIDDEN.sub('_', name)[: _MAX_NAME - 9]}_{sha256(name.encode()).hexdigest()[:8]}"
        self.names[spelt] = name
        return spelt


def tool_id(given: str) -> str:
    """An id that Converse accepts (`[a-zA-Z0-9_.:-]{1,64}`), the same for the same id of another provider."""
    if 0 < len(given) <= _MAX_NAME and not _FORBIDDEN_IN_IDS.search(given):
        return given
    return f"call_{sha256(given.encode()).hexdigest()[:32]}"
