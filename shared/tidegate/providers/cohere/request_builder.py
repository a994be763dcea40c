"""The request being built for Cohere."""

from msgspec import field

from tidegate.json import Json
from tidegate.providers import request_builder
from tidegate.providers.toolnames import ToolNames


class CohereRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """Builds Cohere's body. `documents` are sent beside the messages; `answer_tool`'s arguments are the JSON answer."""

    supports_thinking: bool
    tool_names: ToolNames
    documents: list[Json] = field(default_factory=list[Json])
    answer_tool: str | None = None
