"""What a Gemini model can do, by its name.

Sources: https://ai.google.dev/gemini-api/docs/thinking and …/docs/generate-content/latest-model,
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-4-argon (2026-11), and recorded
calls.
"""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

Host = Literal["gemini", "vertex"]
"""Who serves the model: AI Studio or Vertex AI."""

_VERSION = re.compile(r"gemini-(?:(?:flash|pro|live|lite)-)*(\d+)(?:\.(\d+))?(?!\d)")
_LOW_TO_HIGH = ("low", "medium", "high")
_MINIMAL_TO_HIGH = ("minimal", *_LOW_TO_HIGH)
_NEWEST = (3, 99)
"""For names without a number, such as gemini-flash-latest: what all models since Gemini 3.1 have in common."""


class Budget(Struct, frozen=True):
    """The range of `thinkingBudget`; `can_stop`: 0 switches thinking off."""

    least: int
    most: int
    can_stop: bool


class Model(Struct, frozen=True):
    """One model. It thinks by a `budget` of tokens or by `levels`, weakest first, or neither.

    `json_schema`: schemas go out as they came, not in the OpenAPI subset. `unsupported`: fields of OpenAI's dialect
    that are an error, or have no effect.
    """

    name: str
    generation: tuple[int, int]
    budget: Budget | None
    levels: tuple[str, ...]
    json_schema: bool
    unsupported: frozenset[str]

    @property
    def since_3(self) -> bool:
        """Calls have ids and signatures that must come back, search mixes with functions, and tools may show media."""
        return self.generation >= (3, 0)


@lru_cache(maxsize=256)
def read(name: str) -> Model:
    """The model of that name, with or without a path before it."""
    name = name.rpartition("/")[2].lower()
    generation = _generation(name)
    return Model(
        name=name,
        generation=generation,
        budget=_budget(name, generation),
        levels=_levels(name, generation),
        json_schema=generation >= (2, 0),
        unsupported=_unsupported(generation),
    )


def _generation(name: str) -> tuple[int, int]:
    if name.startswith("gemma"):
        return (2, 0) if name.startswith(("gemma-4", "gemma-5")) else (1, 5)
    if name.startswith("gemini-robotics-er-1"):
        return (2, 5)
    found = _VERSION.match(name)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (1, 0) if name in ("gemini-pro", "gemini-pro-vision") else _NEWEST


def _budget(name: str, generation: tuple[int, int]) -> Budget | None:
    if generation != (2, 5) or "image" in name or "tts" in name:
        return None
    if "pro" in name:
        return Budget(128, 32768, can_stop=False)
    return Budget(512, 24576, can_stop=True) if "lite" in name else Budget(1, 24576, can_stop=True)


def _levels(name: str, generation: tuple[int, int]) -> tuple[str, ...]:
    if generation < (3, 0) or "tts" in name:
        return ()
    if "image" in name or "banana" in name:
        return ("minimal", "high") if "flash" in name else ()
    if generation == (3, 0) and "pro" in name:
        return ("low", "high")
    if "pro" in name or generation >= (3, 7):
        return _LOW_TO_HIGH
    return _MINIMAL_TO_HIGH


def _unsupported(generation: tuple[int, int]) -> frozenset[str]:
    if generation >= (4, 0):
        return frozenset({"n", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"})
    return frozenset({"n"}) if generation >= (3, 0) else frozenset()
