"""The body of a request to Gemini in progress."""

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.gemini.capabilities import GeminiCapabilities, Host
from tidegate.providers.gemini.schema import SchemaParts


class GeminiRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Collects the body of one request. `strict_paths` are the paths of the caller's `strict` fields."""

    host: Host
    capabilities: GeminiCapabilities
    generation_config: JsonObject = field(default_factory=dict[str, Json])
    strict_paths: list[str] = field(default_factory=list[str])
    schema_parts: SchemaParts = field(default_factory=SchemaParts)

    def set_tool_config(self, **settings: Json) -> None:
        tool_config = self.body.get("toolConfig")
        self.body["toolConfig"] = {**(tool_config if isinstance(tool_config, dict) else {}), **settings}
