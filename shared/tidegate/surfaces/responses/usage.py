"""Token counts in the terms of the Responses API.

Source: https://platform.openai.com/docs/api-reference/responses/object (`usage`, 2026-11).
"""

from collections.abc import Mapping
from typing import cast

from tidegate.domain.usage import parse_count
from tidegate.json import Json, JsonObject


def response_usage(usage: Mapping[str, object] | None) -> JsonObject | None:
    """Return the usage of a response, None if nothing was counted."""
    if usage is None:
        return None
    counts = cast(JsonObject, usage)
    prompt, answer = _object(counts.get("prompt_tokens_details")), _object(counts.get("completion_tokens_details"))
    input_tokens, output_tokens = parse_count(counts.get("prompt_tokens")), parse_count(counts.get("completion_tokens"))
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": parse_count(prompt.get("cached_tokens")),
            "cache_write_tokens": parse_count(prompt.get("cache_write_tokens")),
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": parse_count(answer.get("reasoning_tokens"))},
        "total_tokens": parse_count(counts.get("total_tokens")) or input_tokens + output_tokens,
    }


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
