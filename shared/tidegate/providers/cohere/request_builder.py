"""A request on its way to Cohere."""

from msgspec import field

from tidegate.json import Json
from tidegate.providers import request_builder
from tidegate.providers.toolnames import ToolNames


class CohereRequestBuilder(request_builder.RequestBuilder, kw_only=True):
    """`thinks`: the model may reason. `documents` go beside the messages; `answer_tool` is an answer in JSON."""

    supports_thinking: bool
    tool_names: ToolNames
    documents: list[Json] = field(default_factory=list[Json])
    answer_tool: str | None = None
