"""What a model on Bedrock can do beyond what Converse promises of all, told from its id.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html,
…/conversation-inference-supported-models-features.html, …/prompt-caching.html,
…/claude-messages-adaptive-thinking.html,
…/claude-messages-extended-thinking.html, …/APIReference/API_runtime_ToolChoice.html,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html,
https://platform.claude.com/docs/en/about-claude/models/overview; and recorded calls.
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

SEARCH_TOOL = "nova_grounding"
"""The tool by which Nova searches the web."""

ThinkingStyle = Literal["none", "always", "budget", "either", "adaptive", "nova", "effort", "nested_effort", "config"]


class BedrockCapabilities(Struct, frozen=True):
    """`tool_choices` are the ways to force a call: "any", and "tool" for a certain one.

    `thinking`      how it is asked for: Claude's budget, adaptive or either; Nova's `reasoningConfig`; OpenAI's effort,
                    flat or nested; Qwen's `reasoning_config`; always on without a way to ask
    `efforts`       the words that it knows, weakest first
    `off`           how thinking is switched off: "omit" where it is off unless asked for, "never" where it cannot be
    `samplers`      whether temperature and top_p are taken together, one at a time, or not at all
    `structured`    answers to a JSON schema of their own, and tools whose schema is held
    `caching`       cache points
    `top_k`         its path in `additionalModelRequestFields`, empty where there is none
    `search`        the system tool that searches the web
    `claude`        takes what Anthropic's API takes: betas, one tool call at a time
    `prefill`       goes on with an assistant's message
    `known`         the id names the model
    """

    thinking: ThinkingStyle = "none"
    efforts: tuple[str, ...] = ()
    off: Literal["omit", "disabled", "never"] = "omit"
    samplers: Literal["both", "one", "none"] = "both"
    tool_choices: tuple[str, ...] = ()
    structured: bool = False
    prompt_caching: bool = False
    top_k_path: tuple[str, ...] = ()
    search: str | None = None
    is_claude: bool = False
    prefill: bool = True
    is_recognised: bool = True

    @property
    def replays_reasoning(self) -> bool:
        """Whether reasoning that it signed must come back."""
        return self.is_claude or not self.is_recognised


_ALL_FORCED_CHOICES = ("any", "tool")
_LOW_TO_HIGH = ("low", "medium", "high")
_CLAUDE = BedrockCapabilities(
    tool_choices=_ALL_FORCED_CHOICES, prompt_caching=True, top_k_path=("top_k",), is_claude=True
)
_CLAUDE_3_7 = replace(_CLAUDE, thinking="budget")
_CLAUDE_4_1 = replace(_CLAUDE_3_7, samplers="one")
_CLAUDE_4_5 = replace(_CLAUDE_4_1, structured=True)
_CLAUDE_4_6 = replace(_CLAUDE_4_5, thinking="either", efforts=(*_LOW_TO_HIGH, "max"), prefill=False)
_CLAUDE_4_7 = replace(_CLAUDE_4_6, thinking="adaptive", efforts=(*_LOW_TO_HIGH, "xhigh", "max"), samplers="none")
_CLAUDE_5 = replace(_CLAUDE_4_7, off="disabled")
_ALWAYS_THINKS = replace(_CLAUDE_4_7, off="never")
_CLAUDE_5_5 = replace(_ALWAYS_THINKS, tool_choices=())

_NOVA = BedrockCapabilities(
    tool_choices=_ALL_FORCED_CHOICES, prompt_caching=True, top_k_path=("inferenceConfig", "topK")
)
_OPEN_WEIGHTS = BedrockCapabilities(structured=True)
_CAPABILITIES_BY_PATTERN = (
    (r"nova-2", replace(_NOVA, thinking="nova", efforts=_LOW_TO_HIGH, search=SEARCH_TOOL)),
    (r"nova-premier", replace(_NOVA, search=SEARCH_TOOL)),
    (r"nova", _NOVA),
    (r"gpt-oss", replace(_OPEN_WEIGHTS, thinking="effort", efforts=_LOW_TO_HIGH)),
    (
        r"(^|\.)openai\.",
        replace(_OPEN_WEIGHTS, thinking="nested_effort", efforts=("none", "minimal", *_LOW_TO_HIGH, "xhigh")),
    ),
    (r"qwen3", replace(_OPEN_WEIGHTS, thinking="config", efforts=_LOW_TO_HIGH)),
    (r"deepseek\.v|kimi-k2-thinking|minimax", replace(_OPEN_WEIGHTS, thinking="always", off="never")),
    (r"deepseek", BedrockCapabilities(thinking="always", off="never")),
    (r"gemma-3|nemotron|kimi|glm", _OPEN_WEIGHTS),
    (r"mistral-large-3|ministral|magistral|voxtral|devstral", replace(_OPEN_WEIGHTS, tool_choices=("any",))),
    (r"mistral|mixtral|pixtral", BedrockCapabilities(tool_choices=("any",), top_k_path=("top_k",))),
    (r"cohere", BedrockCapabilities(top_k_path=("k",))),
    (r"llama|titan|jamba|ai21|palmyra|qwen", BedrockCapabilities()),
)
_UNKNOWN = BedrockCapabilities(tool_choices=_ALL_FORCED_CHOICES, prompt_caching=True, is_recognised=False)
"""A profile or an import whose id names no model: what the caller wishes is sent, and Bedrock says what it refuses."""

_CLAUDE_VERSION = re.compile(r"claude-(?:(?P<name>[a-z]+)-)?(?P<major>\d{1,2})(?!\d)(?:-(?P<minor>\d{1,2})(?!\d))?")


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> BedrockCapabilities:
    """The family of a model id, an inference profile's id, or an ARN."""
    name = model.lower()
    if "claude" in name:
        return _claude_capabilities(name)
    return next(
        (capabilities for pattern, capabilities in _CAPABILITIES_BY_PATTERN if re.search(pattern, name)), _UNKNOWN
    )


def _claude_capabilities(name: str) -> BedrockCapabilities:
    version_match = _CLAUDE_VERSION.search(name)
    if version_match is None:
        is_claude_2 = re.search(r"claude-(v\d|instant)", name)
        return (
            BedrockCapabilities(is_claude=True) if is_claude_2 else _CLAUDE_5_5
        )  # a name without a version follows the newest
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
