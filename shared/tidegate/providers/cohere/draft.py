"""A request on its way to Cohere."""

from dataclasses import dataclass, field

from tidegate.chat.json import Json
from tidegate.providers import draft
from tidegate.providers.toolnames import ToolNames


@dataclass(slots=True, kw_only=True)
class Draft(draft.Draft):
    """`thinks`: the model may reason. `documents` go beside the messages; `answer_tool` is an answer in JSON."""

    thinks: bool
    names: ToolNames
    documents: list[Json] = field(default_factory=list[Json])
    answer_tool: str | None = None
