"""The body of a request to Anthropic in progress."""

from typing import Literal

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.anthropic.capabilities import AnthropicCapabilities
from tidegate.providers.strict_schemas import SchemaBudget


class AnthropicRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Collects the body and the beta headers of one request.

    `answer_definition` defines the `answer_tool`. `thinking` is how the model was asked to think. `schemas` counts what
    must be enforced strictly.
    """

    model: str
    capabilities: AnthropicCapabilities
    answer_definition: JsonObject | None = None
    thinking: Literal["budget", "adaptive"] | None = None
    system: list[Json] = field(default_factory=list[Json])
    betas: list[str] = field(default_factory=list[str])
    schemas: SchemaBudget = field(default_factory=SchemaBudget)

    def set_output_config(self, **settings: Json) -> None:
        output_config = self.body.get("output_config")
        self.body["output_config"] = {**(output_config if isinstance(output_config, dict) else {}), **settings}
