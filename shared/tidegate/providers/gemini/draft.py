"""A request to Gemini on its way out: what is written of it, what is left to translate, what had to be left out."""

from dataclasses import dataclass, field

from tidegate.chat.json import Json, JsonObject
from tidegate.domain.call import Call
from tidegate.providers.dialect.draft import NEUTRAL
from tidegate.providers.gemini.model import Host, Model


@dataclass(slots=True)
class Draft:
    """`body` and `config` (its `generationConfig`) are Gemini's; `left` holds what is not yet taken of the caller's."""

    call: Call
    host: Host
    model: Model
    left: JsonObject
    body: JsonObject = field(default_factory=dict[str, Json])
    config: JsonObject = field(default_factory=dict[str, Json])
    ignored: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Take a field of the caller's, None where it was not sent."""
        return self.left.pop(name, None)

    def leave_out(self, name: str, value: Json) -> None:
        """Report a field that cannot be said, unless it asks for nothing."""
        if value is not None and not (name in NEUTRAL and value == NEUTRAL[name]):
            self.ignored.append(name)

    def set_tool_config(self, **settings: Json) -> None:
        given = self.body.get("toolConfig")
        self.body["toolConfig"] = {**(given if isinstance(given, dict) else {}), **settings}
