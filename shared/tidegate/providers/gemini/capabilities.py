"""Capabilities of Gemini models, derived from their names.

Sources: https://ai.google.dev/gemini-api/docs/thinking and …/docs/generate-content/latest-model,
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-4-argon (2026-11), and recorded
calls. AI Studio refuses penalties and log probabilities since Gemini 2.5, and Vertex AI does not: "Penalty is not
enabled for this model", "Logprobs is not enabled for this model" (reports of users, 2025-12 to 2026-10).
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Host = Literal["gemini", "vertex"]
"""Google's service: AI Studio or Vertex AI."""

_GEMINI_VERSION = re.compile(r"gemini-(?:(?:flash|pro|live|lite)-)*(\d+)(?:\.(\d+))?(?!\d)")
_LOW_TO_HIGH = ("low", "medium", "high")
_MINIMAL_TO_HIGH = ("minimal", *_LOW_TO_HIGH)
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_NEWEST = (3, 99)
"""The generation of names without a number, such as gemini-flash-latest: what all models since 3.1 have in common."""


class ThinkingBudget(Struct, frozen=True):
    """The range of `thinkingBudget` in tokens. `can_switch_off`: a budget of 0 switches thinking off."""

    minimum: int
    maximum: int
    can_switch_off: bool


class GeminiCapabilities(Struct, frozen=True):
    """The settings that one model accepts. It has a `thinking_budget`, or `thinking_levels`, weakest first, or neither.

    `takes_json_schema`: accepts JSON Schema, not only the OpenAPI subset. `unsupported_fields` are fields of OpenAI's
    dialect that cause an error or have no effect.
    """

    name: str
    generation: tuple[int, int]
    thinking_budget: ThinkingBudget | None
    thinking_levels: tuple[str, ...]
    takes_json_schema: bool
    unsupported_fields: frozenset[str]

    @property
    def is_gemini_3_plus(self) -> bool:
        """Calls have ids and required signatures, search and functions can be combined, tool results can have media."""
        return self.generation >= (3, 0)


@lru_cache(maxsize=256)
def capabilities_of(name: str, host: Host = "gemini") -> GeminiCapabilities:
    """Return the capabilities of the model at the host; `name` may have a path in front."""
    name = name.rpartition("/")[2].lower()
    generation = _generation(name)
    return GeminiCapabilities(
        name=name,
        generation=generation,
        thinking_budget=_thinking_budget(name, generation),
        thinking_levels=_thinking_levels(name, generation),
        takes_json_schema=generation >= (2, 0),
        unsupported_fields=_unsupported_fields(generation, host),
    )


def _generation(name: str) -> tuple[int, int]:
    if name.startswith("gemma"):
        return (2, 0) if name.startswith(("gemma-4", "gemma-5")) else (1, 5)
    if name.startswith("gemini-robotics-er-1"):
        return (2, 5)
    version_match = _GEMINI_VERSION.match(name)
    if version_match is not None:
        return int(version_match[1]), int(version_match[2] or 0)
    return (1, 0) if name in ("gemini-pro", "gemini-pro-vision") else _NEWEST


def _thinking_budget(name: str, generation: tuple[int, int]) -> ThinkingBudget | None:
    if generation != (2, 5) or "image" in name or "tts" in name:
        return None
    if "pro" in name:
        return ThinkingBudget(128, 32768, can_switch_off=False)
    return ThinkingBudget(512 if "lite" in name else 1, 24576, can_switch_off=True)


def _thinking_levels(name: str, generation: tuple[int, int]) -> tuple[str, ...]:
    if generation < (3, 0) or "tts" in name:
        return ()
    if "image" in name or "banana" in name:
        return ("minimal", "high") if "flash" in name else ()
    if generation == (3, 0) and "pro" in name:
        return ("low", "high")
    if "pro" in name or generation >= (3, 7):
        return _LOW_TO_HIGH
    return _MINIMAL_TO_HIGH


def _unsupported_fields(generation: tuple[int, int], host: Host) -> frozenset[str]:
    unsupported = _PENALTIES | {"logprobs"} if host == "gemini" and generation >= (2, 5) else frozenset[str]()
    if generation >= (4, 0):
        return unsupported | _PENALTIES | {"n", "temperature", "top_p", "top_k"}
    return unsupported | {"n"} if generation >= (3, 0) else unsupported
