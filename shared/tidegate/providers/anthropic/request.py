"""A chat request in Anthropic's words.

Source: https://platform.claude.com/docs/en/api/messages/create (2026-11), in its version 2023-06-01.
"""

import re
from collections.abc import Sequence

from tidegate.chat.request import ChatCall
from tidegate.json import Json
from tidegate.providers.anthropic import capabilities, messages, sampling, structure, thinking, tools
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.openai import legacy_functions
from tidegate.providers.request_builder import is_email, provider_fields
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_-")
"""Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (`^[a-zA-Z0-9_-]{1,128}$`)."""

_NATIVE_FIELDS = frozenset(
    {"cache_control", "container", "context_management", "diagnostics", "inference_geo", "mcp_servers"}
    | {"speed", "user_profile_id"}
)
"""Anthropic's own fields, which go through as they are."""

_BETA_BY_FIELD = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "user_profile_id": "user-profiles-2026-03-24",
}
_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that are honoured elsewhere."""

_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_PHONE_NUMBER = re.compile(r"\+?[\d\s().-]{7,}")
_MAX_USER_ID = 256
_BETA_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def build(call: ChatCall, model: str) -> AnthropicRequestBuilder:
    """The request for that model. Raises `InvalidRequest` for what cannot be said."""
    remaining = provider_fields(call)
    if legacy_functions.uses_functions(remaining):
        legacy_functions.translate_to_tools(remaining)
    names = ToolNames(_TOOL_NAME_RULES, remaining, tools.reserved_names(remaining))
    draft = AnthropicRequestBuilder(
        call,
        remaining,
        {"model": model},
        model=model,
        capabilities=capabilities.capabilities_of(model),
        tool_names=names,
    )
    _write_max_tokens(draft)
    messages.write(draft)
    structure.write(draft)
    thinking.write(draft)
    tools.write(draft)
    sampling.write(draft)
    _write_user_id(draft)
    _write_service_tier(draft)
    _write_betas(draft)
    _write_remaining_fields(draft)
    if draft.system:
        draft.body["system"] = draft.system
    if call.request.stream:
        draft.body["stream"] = True
    return draft


def _write_max_tokens(draft: AnthropicRequestBuilder) -> None:
    """Anthropic requires a limit; the caller's own wins over the model's."""
    draft.take("max_completion_tokens")
    draft.take("max_tokens")
    draft.body["max_tokens"] = draft.call.request.output_limit or draft.capabilities.output_limit


def _write_user_id(draft: AnthropicRequestBuilder) -> None:
    """An opaque id of the end user; nothing by which Anthropic could reach a person."""
    metadata = draft.take("metadata")
    user_ids: dict[str, Json] = {"metadata.user_id": None}
    if isinstance(metadata, dict):
        user_ids["metadata.user_id"] = metadata.get("user_id")
        draft.ignored.extend(f"metadata.{name}" for name in metadata if name != "user_id")
    user_ids |= {name: draft.take(name) for name in ("user", "safety_identifier")}
    for path, user in user_ids.items():
        if not isinstance(user, str) or not user or draft.body.get("metadata") == {"user_id": user}:
            continue
        if is_email(user) or _PHONE_NUMBER.fullmatch(user) or len(user) > _MAX_USER_ID or "metadata" in draft.body:
            draft.ignored.append(path)
        else:
            draft.body["metadata"] = {"user_id": user}


def _write_service_tier(draft: AnthropicRequestBuilder) -> None:
    tier = draft.take("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        draft.body["service_tier"] = _TIERS[tier]
    else:
        draft.leave_out("service_tier", tier)


def _write_betas(draft: AnthropicRequestBuilder) -> None:
    for name in ("betas", "anthropic_beta"):
        match draft.take(name):
            case str(betas):
                _add_betas(draft, name, [one.strip() for one in betas.split(",")])
            case list(betas):
                _add_betas(draft, name, betas)
            case _:
                pass
    match draft.remaining.get("context_management"):
        case {"edits": list(edits)} if any(isinstance(e, dict) and e.get("type") == "compact_20260112" for e in edits):
            draft.betas.append("compact-2026-01-12")
        case _:
            pass
    match draft.remaining.get("container"):
        case {"skills": _}:
            draft.betas += ["code-execution-2025-08-25", "skills-2025-10-02"]
        case _:
            pass
    if draft.remaining.get("speed") == "fast":
        draft.betas.append("fast-mode-2026-02-01")


def _add_betas(draft: AnthropicRequestBuilder, field_name: str, betas: Sequence[Json]) -> None:
    """The caller's own betas, which go into a header: nothing else may."""
    for beta in betas:
        if isinstance(beta, str) and _BETA_NAME.fullmatch(beta):
            draft.betas.append(beta)
        else:
            draft.ignored.append(field_name)


def _write_remaining_fields(draft: AnthropicRequestBuilder) -> None:
    for name, value in draft.remaining.items():
        if name in _NATIVE_FIELDS:
            draft.body[name] = value
            if name in _BETA_BY_FIELD:
                draft.betas.append(_BETA_BY_FIELD[name])
        elif name not in _HANDLED_ELSEWHERE:
            draft.leave_out(name, value)
