"""A request to Converse on its way out."""

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.bedrock.capabilities import BedrockCapabilities
from tidegate.providers.toolnames import NameRules, ToolNames

TOOL_NAME_RULES = NameRules("a-zA-Z0-9_-", max_length=64)
CALL_ID_RULES = NameRules("a-zA-Z0-9_.:-", max_length=64)


class BedrockRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """`extra` are its `additionalModelRequestFields`.

    `used_tools` are the tools that the turns so far have called, `documents` the names that documents have. `thinks`:
    the model was asked to.
    """

    model: str
    capabilities: BedrockCapabilities
    tool_names: ToolNames
    model_fields: JsonObject = field(default_factory=dict[str, Json])
    called_tools: list[str] = field(default_factory=list[str])
    document_names: list[str] = field(default_factory=list[str])
    answer_tool: str | None = None
    thinking_enabled: bool = False
