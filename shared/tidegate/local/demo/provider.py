"""The row of the demo provider: which of its models honours which fields. What a model cannot honour is reported."""

from tidegate.chat.fields import ChatFields
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.quirks import OPENAI_ONLY, ModelRule, Quirks, ToolChoiceKind

DEMO_PROVIDER = "demo"
DEMO_BASE_URL = "http://demo.invalid/v1"

_HONOURED = {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"}
_REASONING = {"reasoning", "reasoning_effort", "thinking"}  # reported as ignored through the rules' `reasoning`

_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_FORMATS = frozenset({"response_format", "structured_outputs"})

_TOOL_CHOICES: frozenset[ToolChoiceKind] = frozenset({"auto", "required", "named"})
"""Without "none": the tools are then left out, which has the same effect."""

_DEMO_QUIRKS = Quirks(
    unsupported=(OPENAI_ONLY | frozenset(ChatFields.__struct_fields__) | {"audio", "modalities", "verbosity"})
    - GATEWAY_FIELDS
    - _HONOURED
    - _REASONING
    - _TOOLS
    - _FORMATS,
    tool_choices=_TOOL_CHOICES,
    reasoning="none",
    structured_outputs="as_sent",
    models=(
        ModelRule("^tools$", unsupported=_FORMATS),
        ModelRule("^json$", unsupported=_TOOLS),
        ModelRule("^reasoning$", unsupported=_TOOLS | _FORMATS, reasoning="effort", reasons="by_default"),
        ModelRule("", unsupported=_TOOLS | _FORMATS),
    ),
)

DEMO_ROW = Row(DEMO_PROVIDER, DEMO_BASE_URL, _DEMO_QUIRKS, key=None, auth=None)
