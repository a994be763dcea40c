"""The lists of models in Anthropic's format, for clients that ask in Anthropic's way.

Claude Code offers the models whose ids contain "claude" or "anthropic".

Source: https://platform.claude.com/docs/en/api/models/list, https://code.claude.com/docs/en/llm-gateway-protocol, and
the types of the SDK anthropic 2.12 (2026-11).
"""

import re
from collections.abc import Mapping, Sequence

from tidegate.catalog import CatalogModel
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject

DEFAULT_LIMIT, MAX_LIMIT = 20, 1000
_LINE = re.compile(r"\b(haiku|sonnet|opus|fable|mythos)\b")
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
_LEVELS = ("low", "medium", "high", "xhigh", "max")
_CONTEXT_EDITS = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")


def page(models: Sequence[CatalogModel], query: Mapping[str, str]) -> JsonObject:
    """Return one page of the models that write text. Raises `InvalidRequest` for a page that does not exist."""
    models = [model for model in models if "text" in (model.outputs or ("text",))]
    ids = [model.id for model in models]
    limit = _limit(query.get("limit"))
    first, end = 0, len(models)
    if (after := query.get("after_id")) is not None:
        first = _index(ids, after, "after_id") + 1
        end = min(end, first + limit)
    elif (before := query.get("before_id")) is not None:
        end = _index(ids, before, "before_id")
        first = max(0, end - limit)
    else:
        end = min(end, limit)
    is_forward = query.get("before_id") is None or after is not None
    return {
        "data": [model_info(model) for model in models[first:end]],
        "first_id": ids[first] if first < end else None,
        "last_id": ids[end - 1] if first < end else None,
        "has_more": end < len(models) if is_forward else first > 0,
    }


def model_info(model: CatalogModel) -> JsonObject:
    """Return one model. When it was released is not known."""
    line = _LINE.search(model.id)
    return {
        "id": model.id,
        "type": "model",
        "display_name": model.name or model.id,
        "created_at": _UNKNOWN_DATE,
        "max_input_tokens": model.context_window,
        "max_tokens": model.output_limit,
        "capabilities": _capabilities(model),
        "lifecycle": "deprecated" if model.deprecated else "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": line[1] if line else None,
    }


def _capabilities(model: CatalogModel) -> JsonObject:
    is_claude, reasons = "claude" in model.id, model.can_reason
    searches = is_claude or "web_search_options" in model.parameters
    edits: JsonObject = {name: _support(is_claude) for name in _CONTEXT_EDITS}
    efforts: JsonObject = {level: _support(reasons) for level in _LEVELS}
    return {
        "batch": _support(False),
        "citations": _support(is_claude),
        "code_execution": _support(False),
        "context_management": {"supported": is_claude, **edits},
        "effort": {"supported": reasons, **efforts},
        "image_input": _support("image" in model.inputs),
        "pdf_input": _support("file" in model.inputs),
        "server_tools": {
            "supported": searches,
            "web_search": _support(searches),
            "code_execution": _support(False),
        },
        "structured_outputs": _support("structured_outputs" in model.parameters),
        "thinking": {
            "supported": reasons,
            "types": {
                "adaptive": _support(reasons),
                "between_tools": _support(reasons),
                "disabled": _support(model.reasoning != "always"),
                "enabled": _support(reasons),
            },
        },
    }


def _support(supported: bool) -> JsonObject:
    return {"supported": supported}


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise InvalidRequest(f"limit: Input should be a number from 1 to {MAX_LIMIT}", param="limit")
    return int(text)


def _index(ids: list[str], model_id: str, param: str) -> int:
    if model_id not in ids:
        raise InvalidRequest(f"{param}: {model_id[:100]!r} is not in the list", param=param)
    return ids.index(model_id)
