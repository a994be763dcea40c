"""The body of a request to Gemini in progress."""

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.gemini.capabilities import GeminiCapabilities, Host
from tidegate.providers.toolnames import ToolNames


class GeminiRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Collects the body of one request.

    `generation_config` is its `generationConfig`. `answer_tool` is the function whose arguments are the answer in JSON.
    `strict_paths` are the paths of the caller's `strict` fields.
    """

    host: Host
    capabilities: GeminiCapabilities
    tool_names: ToolNames
    generation_config: JsonObject = field(default_factory=dict[str, Json])
    answer_tool: str | None = None
    strict_paths: list[str] = field(default_factory=list[str])

    def set_tool_config(self, **settings: Json) -> None:
        tool_config = self.body.get("toolConfig")
        self.body["toolConfig"] = {**(tool_config if isinstance(tool_config, dict) else {}), **settings}
