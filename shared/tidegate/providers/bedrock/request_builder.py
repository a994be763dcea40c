"""A request to Converse on its way out."""

from msgspec import field

from tidegate.json import Json, JsonObject
from tidegate.providers import request_builder
from tidegate.providers.bedrock.capabilities import Family
from tidegate.providers.toolnames import Alphabet, ToolNames

NAMES = Alphabet("a-zA-Z0-9_-", longest=64)
IDS = Alphabet("a-zA-Z0-9_.:-", longest=64)


class Draft(request_builder.Draft, kw_only=True):
    """`extra` are its `additionalModelRequestFields`.

    `used_tools` are the tools that the turns so far have called, `documents` the names that documents have. `thinks`:
    the model was asked to.
    """

    model: str
    family: Family
    names: ToolNames
    extra: JsonObject = field(default_factory=dict[str, Json])
    used_tools: list[str] = field(default_factory=list[str])
    documents: list[str] = field(default_factory=list[str])
    answer_tool: str | None = None
    thinks: bool = False
