"""Capabilities of Claude models, derived from their names: the generations differ in what they refuse.

Sources, read in 2026-11: https://platform.claude.com/docs/en/models/overview, …/models/opus-5-5/migration-guide,
…/models/sonnet-5-5/overview, …/models/opus-5/migration-guide, …/build-with-claude/thinking, …/build-with-claude/effort,
…/build-with-claude/structured-outputs; and refusals recorded up to 2026-08.
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import load_catalog

_NAME = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-)?v?(?P<major>\d{1,2})(?!\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?(?P<rest>.*)"
)
_FAMILY = re.compile(r"opus|sonnet|haiku|fable|mythos")
_LEVELS = ("low", "medium", "high", "xhigh", "max")


class AnthropicCapabilities(Struct, frozen=True):
    """The settings that one Claude model accepts.

    `thinking` is how the model is asked to think: "either" accepts a token budget and adaptive thinking.
    `thinking_off` is how thinking is switched off: "omit" if it is off by default, "never" if it is always on.
    `samplers`: the model accepts temperature and top_p together, one of the two, or neither.
    """

    thinking: Literal["none", "budget", "either", "adaptive"]
    efforts: tuple[str, ...] = ()
    thinking_off: Literal["omit", "disabled", "between_tools", "never"] = "omit"
    samplers: Literal["both", "one", "none"] = "both"
    can_force_tools: bool = True
    structured_output: bool = False
    output_limit: int = 4096


_HAIKU_3_5 = AnthropicCapabilities("none", output_limit=8192)
_CLAUDE_4 = AnthropicCapabilities("budget", output_limit=32_000)
_CLAUDE_4_5 = AnthropicCapabilities("budget", samplers="one", structured_output=True, output_limit=64_000)
_CLAUDE_4_6 = AnthropicCapabilities("either", ("low", "medium", "high", "max"), "omit", "one", True, True, 128_000)
_CLAUDE_4_7 = AnthropicCapabilities("adaptive", _LEVELS, "omit", "none", True, True, 128_000)
_CLAUDE_5 = replace(_CLAUDE_4_7, thinking_off="disabled")
_FABLE_5 = replace(_CLAUDE_4_7, thinking_off="never")
_OPUS_5_5 = replace(_FABLE_5, can_force_tools=False)
_SONNET_5_5 = replace(_OPUS_5_5, thinking_off="between_tools")
_NOT_CLAUDE = replace(_CLAUDE_4, output_limit=8192)
"""Models of other makers behind the same API."""


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> AnthropicCapabilities:
    """Return the model's capabilities; the catalogue's output limit wins over the default for its generation."""
    catalog_model = load_catalog().find_model(f"anthropic/{model}")
    capabilities = _capabilities_by_name(model.lower())
    if catalog_model is not None and catalog_model.output_limit is not None:
        return replace(capabilities, output_limit=catalog_model.output_limit)
    return capabilities


def _capabilities_by_name(name: str) -> AnthropicCapabilities:
    version_match = _NAME.search(name)
    if version_match is None:
        return _OPUS_5_5 if "claude-" in name else _NOT_CLAUDE  # a name without a version follows the newest model
    version = int(version_match["major"]), int(version_match["minor"] or 0)
    family = _FAMILY.search(version_match["family"] or version_match["rest"])
    return _capabilities_by_version("" if family is None else family[0], version)


def _capabilities_by_version(family: str, version: tuple[int, int]) -> AnthropicCapabilities:
    if version >= (5, 0):
        return _capabilities_of_claude_5(family, version)
    if version >= (4, 7):
        return _CLAUDE_4_7
    if version == (4, 6):
        return _CLAUDE_4_6
    if version >= (4, 5):
        return _CLAUDE_4_5
    if version >= (3, 7):
        return replace(_CLAUDE_4, samplers="one") if version == (4, 1) else _CLAUDE_4
    return _HAIKU_3_5 if version == (3, 5) else AnthropicCapabilities("none")


def _capabilities_of_claude_5(family: str, version: tuple[int, int]) -> AnthropicCapabilities:
    match family:
        case "haiku":
            return _CLAUDE_5
        case "sonnet":
            return _SONNET_5_5 if version >= (5, 5) else _CLAUDE_5
        case "opus":
            return _OPUS_5_5 if version >= (5, 5) else _CLAUDE_5
        case _:
            return _FABLE_5 if version == (5, 0) else _OPUS_5_5
