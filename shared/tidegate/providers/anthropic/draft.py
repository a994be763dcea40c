"""A request to Anthropic on its way out: what is written of it, what is left to translate, what had to be left out."""

from dataclasses import dataclass, field
from typing import Literal

from tidegate.chat.json import Json, JsonObject
from tidegate.domain.call import Call
from tidegate.providers.anthropic import names
from tidegate.providers.anthropic.abilities import Abilities
from tidegate.providers.dialect.draft import NEUTRAL


@dataclass(slots=True)
class Draft:
    """`body` is Anthropic's; `left` holds the caller's fields until someone takes them.

    `response_tool` is the tool that stands for an answer in JSON; `thinking` how the model was asked to think.
    """

    call: Call
    model: str
    abilities: Abilities
    body: JsonObject
    left: JsonObject
    reserved: frozenset[str] = frozenset({names.RESPONSE})
    response_tool: JsonObject | None = None
    thinking: Literal["budget", "adaptive"] | None = None
    system: list[Json] = field(default_factory=list[Json])
    ignored: list[str] = field(default_factory=list[str])
    betas: list[str] = field(default_factory=list[str])

    def take(self, name: str) -> Json:
        """Take a field of the caller's, None where it was not sent."""
        return self.left.pop(name, None)

    def leave_out(self, name: str, value: Json) -> None:
        """Report a field that cannot be said, unless it asks for nothing."""
        if value is not None and not (name in NEUTRAL and value == NEUTRAL[name]):
            self.ignored.append(name)

    def tool_name(self, name: str, path: str, *, legacy: bool = False) -> str:
        return names.to_wire(name, path, reserved=self.reserved, legacy=legacy)

    def configure_output(self, **settings: Json) -> None:
        given = self.body.get("output_config")
        self.body["output_config"] = {**(given if isinstance(given, dict) else {}), **settings}
