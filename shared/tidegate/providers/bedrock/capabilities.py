"""Capabilities of models on Bedrock beyond those that Converse promises of all models, derived from the model id.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html,
…/conversation-inference-supported-models-features.html, …/prompt-caching.html,
…/claude-messages-adaptive-thinking.html, …/claude-messages-extended-thinking.html,
…/APIReference/API_runtime_ToolChoice.html,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html,
https://platform.claude.com/docs/en/about-claude/models/overview; and recorded calls.
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

SEARCH_TOOL = "nova_grounding"
"""Nova's tool for web search."""

ThinkingStyle = Literal["none", "always", "budget", "either", "adaptive", "nova", "effort", "nested_effort", "config"]


class BedrockCapabilities(Struct, frozen=True):
    """The settings that one model accepts.

    `thinking`           how the model is asked to think: Claude's budget, adaptive or either; Nova's `reasoningConfig`;
                         OpenAI's effort, flat or nested; Qwen's `reasoning_config`; "always" has no setting
    `efforts`            the supported effort levels, weakest first
    `thinking_off`       how thinking is switched off: "omit" if it is off by default, "never" if it is always on
    `samplers`           accepts temperature and top_p together, one of the two, or neither
    `tool_choices`       how a call can be forced: "any" for any tool, "tool" for a certain one
    `structured_output`  enforces JSON schemas of answers and strict tools
    `prompt_caching`     accepts cache points
    `top_k_path`         the path of top_k in `additionalModelRequestFields`, empty if there is none
    `search_tool`        the system tool for web search
    `is_claude`          accepts Anthropic's options: betas, one tool call at a time
    `prefill`            continues an assistant's message
    `is_recognised`      the id names a known model
    """

    thinking: ThinkingStyle = "none"
    efforts: tuple[str, ...] = ()
    thinking_off: Literal["omit", "disabled", "never"] = "omit"
    samplers: Literal["both", "one", "none"] = "both"
    tool_choices: tuple[str, ...] = ()
    structured_output: bool = False
    prompt_caching: bool = False
    top_k_path: tuple[str, ...] = ()
    search_tool: str | None = None
    is_claude: bool = False
    prefill: bool = True
    is_recognised: bool = True

    @property
    def replays_reasoning(self) -> bool:
        """The model requires its signed reasoning in later turns."""
        return self.is_claude or not self.is_recognised


_ANY_OR_TOOL = ("any", "tool")
_LOW_TO_HIGH = ("low", "medium", "high")
_NONE_TO_XHIGH = ("none", "minimal", *_LOW_TO_HIGH, "xhigh")
_CLAUDE = BedrockCapabilities(tool_choices=_ANY_OR_TOOL, prompt_caching=True, top_k_path=("top_k",), is_claude=True)
_CLAUDE_3_7 = replace(_CLAUDE, thinking="budget")
_CLAUDE_4_1 = replace(_CLAUDE_3_7, samplers="one")
_CLAUDE_4_5 = replace(_CLAUDE_4_1, structured_output=True)
_CLAUDE_4_6 = replace(_CLAUDE_4_5, thinking="either", efforts=(*_LOW_TO_HIGH, "max"), prefill=False)
_CLAUDE_4_7 = replace(_CLAUDE_4_6, thinking="adaptive", efforts=(*_LOW_TO_HIGH, "xhigh", "max"), samplers="none")
_CLAUDE_5 = replace(_CLAUDE_4_7, thinking_off="disabled")
_ALWAYS_THINKS = replace(_CLAUDE_4_7, thinking_off="never")
_CLAUDE_5_5 = replace(_ALWAYS_THINKS, tool_choices=())

_NOVA = BedrockCapabilities(tool_choices=_ANY_OR_TOOL, prompt_caching=True, top_k_path=("inferenceConfig", "topK"))
_OPEN_WEIGHTS = BedrockCapabilities(structured_output=True)
_CAPABILITIES_BY_PATTERN = (
    (r"nova-2", replace(_NOVA, thinking="nova", efforts=_LOW_TO_HIGH, search_tool=SEARCH_TOOL)),
    (r"nova-premier", replace(_NOVA, search_tool=SEARCH_TOOL)),
    (r"nova", _NOVA),
    (r"gpt-oss", replace(_OPEN_WEIGHTS, thinking="effort", efforts=_LOW_TO_HIGH)),
    (r"(^|\.)openai\.", replace(_OPEN_WEIGHTS, thinking="nested_effort", efforts=_NONE_TO_XHIGH)),
    (r"qwen3", replace(_OPEN_WEIGHTS, thinking="config", efforts=_LOW_TO_HIGH)),
    (r"deepseek\.v|kimi-k2-thinking|minimax", replace(_OPEN_WEIGHTS, thinking="always", thinking_off="never")),
    (r"deepseek", BedrockCapabilities(thinking="always", thinking_off="never")),
    (r"gemma-3|nemotron|kimi|glm", _OPEN_WEIGHTS),
    (r"mistral-large-3|ministral|magistral|voxtral|devstral", replace(_OPEN_WEIGHTS, tool_choices=("any",))),
    (r"mistral|mixtral|pixtral", BedrockCapabilities(tool_choices=("any",), top_k_path=("top_k",))),
    (r"cohere", BedrockCapabilities(top_k_path=("k",))),
    (r"llama|titan|jamba|ai21|palmyra|qwen", BedrockCapabilities()),
)
_UNKNOWN = BedrockCapabilities(tool_choices=_ANY_OR_TOOL, prompt_caching=True, is_recognised=False)
"""Inference profiles and imported models with opaque ids: all options are sent, and Bedrock may refuse them."""

_CLAUDE_VERSION = re.compile(r"claude-(?:(?P<name>[a-z]+)-)?(?P<major>\d{1,2})(?!\d)(?:-(?P<minor>\d{1,2})(?!\d))?")


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> BedrockCapabilities:
    """Return the capabilities of a model; `model` is a model id, an inference profile's id, or an ARN."""
    name = model.lower()
    if "claude" in name:
        return _claude_capabilities(name)
    return next((found for pattern, found in _CAPABILITIES_BY_PATTERN if re.search(pattern, name)), _UNKNOWN)


def _claude_capabilities(name: str) -> BedrockCapabilities:
    version_match = _CLAUDE_VERSION.search(name)
    if version_match is None:
        is_claude_2 = re.search(r"claude-(v\d|instant)", name)
        # A name without a version is treated as the newest model.
        return BedrockCapabilities(is_claude=True) if is_claude_2 else _CLAUDE_5_5
    version = int(version_match["major"]), int(version_match["minor"] or 0)
    if version >= (5, 0):
        return _claude_5_capabilities(version_match["name"], version)
    generations = ((4, 7), _CLAUDE_4_7), ((4, 6), _CLAUDE_4_6), ((4, 5), _CLAUDE_4_5), ((4, 1), _CLAUDE_4_1)
    capabilities = next((family for since, family in generations if version >= since), None)
    return capabilities or (_CLAUDE_3_7 if version >= (3, 7) else _CLAUDE)


def _claude_5_capabilities(name: str | None, version: tuple[int, int]) -> BedrockCapabilities:
    match name:
        case "haiku":
            return _CLAUDE_5
        case "opus" | "sonnet":
            return _CLAUDE_5_5 if version >= (5, 5) else _CLAUDE_5
        case _:
            return _ALWAYS_THINKS if version == (5, 0) else _CLAUDE_5_5
