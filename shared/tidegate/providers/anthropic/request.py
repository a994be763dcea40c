"""A chat request as the body of Anthropic's Messages API.

Source: https://platform.claude.com/docs/en/api/messages/create (2026-11), API version 2023-06-01.
"""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.chat.request import ChatCall
from tidegate.json import Json
from tidegate.providers.anthropic import messages, sampling, structure, thinking, tools
from tidegate.providers.anthropic.capabilities import capabilities_of
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
"""Anthropic's own fields, which are passed on unchanged."""

_BETA_BY_FIELD = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "user_profile_id": "user-profiles-2026-03-24",
}
_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that other modules translate, so that they are not reported as ignored."""

_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_PHONE_NUMBER = re.compile(r"\+?[\d\s().-]{7,}")
_MAX_USER_ID = 256
_BETA_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def build(call: ChatCall, model: str, output_limit: int | None = None) -> AnthropicRequestBuilder:
    """Translate the call for `model`, whose `output_limit` the operator may have declared.

    Raises `InvalidRequest` for content that Anthropic does not support.
    """
    remaining, is_plain = provider_fields(call), call.request.is_plain
    if not is_plain and legacy_functions.uses_functions(remaining):
        legacy_functions.translate_to_tools(remaining)
    reserved = () if is_plain else tools.reserved_names(remaining)
    names = ToolNames(_TOOL_NAME_RULES, None if is_plain else remaining, reserved)
    capabilities = capabilities_of(model)
    if output_limit is not None:
        capabilities = replace(capabilities, output_limit=output_limit)
    builder = AnthropicRequestBuilder(call, remaining, names, model=model, capabilities=capabilities)
    builder.body["model"] = model
    _write_max_tokens(builder)
    messages.write(builder)
    if not is_plain:
        structure.write(builder)
        thinking.write(builder)
        tools.write(builder)
    sampling.write(builder)
    _write_user_id(builder)
    if not is_plain:
        _write_service_tier(builder)
        _write_betas(builder)
    _write_remaining_fields(builder)
    if builder.system:
        builder.body["system"] = builder.system
    if call.request.stream:
        builder.body["stream"] = True
    return builder


def _write_max_tokens(builder: AnthropicRequestBuilder) -> None:
    """Write `max_tokens`, which Anthropic requires: the caller's limit, or else the model's."""
    builder.take("max_completion_tokens")
    builder.take("max_tokens")
    builder.body["max_tokens"] = builder.call.request.output_limit or builder.capabilities.output_limit


def _write_user_id(builder: AnthropicRequestBuilder) -> None:
    """Write an opaque id of the end user. E-mail addresses and phone numbers are not sent."""
    metadata = builder.take("metadata")
    user_ids: dict[str, Json] = {"metadata.user_id": None}
    if isinstance(metadata, dict):
        user_ids["metadata.user_id"] = metadata.get("user_id")
        builder.ignored.extend(f"metadata.{name}" for name in metadata if name != "user_id")
    user_ids |= {name: builder.take(name) for name in ("user", "safety_identifier")}
    for path, user in user_ids.items():
        if not isinstance(user, str) or not user or builder.body.get("metadata") == {"user_id": user}:
            continue
        if is_email(user) or _PHONE_NUMBER.fullmatch(user) or len(user) > _MAX_USER_ID or "metadata" in builder.body:
            builder.ignored.append(path)
        else:
            builder.body["metadata"] = {"user_id": user}


def _write_service_tier(builder: AnthropicRequestBuilder) -> None:
    tier = builder.take("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        builder.body["service_tier"] = _TIERS[tier]
    else:
        builder.leave_out("service_tier", tier)


def _write_betas(builder: AnthropicRequestBuilder) -> None:
    for name in ("betas", "anthropic_beta"):
        match builder.take(name):
            case str(betas):
                _add_betas(builder, name, [beta.strip() for beta in betas.split(",")])
            case list(betas):
                _add_betas(builder, name, betas)
            case _:
                pass
    match builder.remaining.get("context_management"):
        case {"edits": list(edits)} if any(isinstance(e, dict) and e.get("type") == "compact_20260112" for e in edits):
            builder.betas.append("compact-2026-01-12")
        case _:
            pass
    match builder.remaining.get("container"):
        case {"skills": _}:
            builder.betas += ["code-execution-2025-08-25", "skills-2025-10-02"]
        case _:
            pass
    if builder.remaining.get("speed") == "fast":
        builder.betas.append("fast-mode-2026-02-01")


def _add_betas(builder: AnthropicRequestBuilder, field_name: str, betas: Sequence[Json]) -> None:
    """Add the caller's beta names. Only well-formed names may get into the header."""
    for beta in betas:
        if isinstance(beta, str) and _BETA_NAME.fullmatch(beta):
            builder.betas.append(beta)
        else:
            builder.ignored.append(field_name)


def _write_remaining_fields(builder: AnthropicRequestBuilder) -> None:
    for name, value in builder.remaining.items():
        if name in _NATIVE_FIELDS:
            builder.body[name] = value
            if name in _BETA_BY_FIELD:
                builder.betas.append(_BETA_BY_FIELD[name])
        elif name not in _HANDLED_ELSEWHERE:
            builder.leave_out(name, value)
