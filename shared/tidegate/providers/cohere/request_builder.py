"""A request on its way to Cohere."""

from msgspec import field

from tidegate.json import Json
from tidegate.providers import request_builder
from tidegate.providers.toolnames import ToolNames


class Draft(request_builder.Draft, kw_only=True):
    """`thinks`: the model may reason. `documents` go beside the messages; `answer_tool` is an answer in JSON."""

    thinks: bool
    names: ToolNames
    documents: list[Json] = field(default_factory=list[Json])
    answer_tool: str | None = None
