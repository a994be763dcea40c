"""The body of a request to Converse in progress."""

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.bedrock.capabilities import BedrockCapabilities
from tidegate.providers.strict_schemas import SchemaBudget
from tidegate.providers.toolnames import NameRules

TOOL_NAME_RULES = NameRules("a-zA-Z0-9_-", max_length=64)
CALL_ID_RULES = NameRules("a-zA-Z0-9_.:-", max_length=64)


class BedrockRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Collects the body of one request.

    `model_fields` are its `additionalModelRequestFields`. `called_tools` are the tools that earlier turns called,
    `document_names` the names that documents have in this request, with the number of the last one like it.
    `thinking_enabled`: the model was asked to think. `schemas` counts what must be enforced strictly.
    """

    model: str
    capabilities: BedrockCapabilities
    schemas: SchemaBudget
    model_fields: JsonObject = field(default_factory=dict[str, Json])
    called_tools: list[str] = field(default_factory=list[str])
    document_names: dict[str, int] = field(default_factory=dict[str, int])
    thinking_enabled: bool = False
