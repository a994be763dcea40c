"""A request to Anthropic on its way out."""

from typing import Literal

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.anthropic.capabilities import Abilities
from tidegate.providers.toolnames import ToolNames


class Draft(request_builder.Draft, kw_only=True):
    """`answer_tool` stands for an answer in JSON; `thinking` is how the model was asked to think."""

    model: str
    abilities: Abilities
    names: ToolNames
    answer_tool: JsonObject | None = None
    thinking: Literal["budget", "adaptive"] | None = None
    system: list[Json] = field(default_factory=list[Json])
    betas: list[str] = field(default_factory=list[str])

    def configure_output(self, **settings: Json) -> None:
        given = self.body.get("output_config")
        self.body["output_config"] = {**(given if isinstance(given, dict) else {}), **settings}
