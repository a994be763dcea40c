"""A request in Gemini's dialect, out of a chat request.

Source: https://ai.google.dev/api/generate-content,
https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent.
Both as of 2026-11.
"""

import re

from tidegate.chat.request import ChatCall
from tidegate.json import Json
from tidegate.providers.gemini import capabilities, generation_config, messages, thinking, tools
from tidegate.providers.gemini.capabilities import Host
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder
from tidegate.providers.request_builder import provider_fields
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_.:-", first="a-zA-Z_")
"""Source: https://ai.google.dev/api/caching#FunctionDeclaration (2026-11): at most 128 of these."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that are honoured elsewhere."""

_NATIVE_FIELDS = ("safetySettings", "cachedContent")
_VERTEX_FIELDS = ("modelArmorConfig",)
_TIER_NAMES: dict[str, str | None] = {"auto": None, "default": "standard", "flex": "flex", "priority": "priority"}
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def build(call: ChatCall, host: Host, model: str) -> GeminiRequestBuilder:
    """The request for that model. Raises `InvalidRequest` for what cannot be said."""
    remaining = provider_fields(call)
    draft = GeminiRequestBuilder(
        call,
        remaining,
        host=host,
        capabilities=capabilities.capabilities_of(model),
        tool_names=ToolNames(_TOOL_NAME_RULES, remaining),
    )
    messages.write(draft)
    tools.write(draft)
    generation_config.write(draft)
    thinking.write(draft)
    _write_native_fields(draft)
    _write_service_tier(draft)
    if host == "vertex":
        _write_labels(draft)
    if draft.generation_config:
        draft.body["generationConfig"] = draft.generation_config
    for field, value in draft.remaining.items():
        if field not in _HANDLED_ELSEWHERE:
            draft.leave_out(field, value)
    return draft


def _write_native_fields(draft: GeminiRequestBuilder) -> None:
    for name in _NATIVE_FIELDS + (_VERTEX_FIELDS if draft.host == "vertex" else ()):
        for spelling in (name, generation_config.to_snake_case(name)):
            value = draft.take(spelling)
            if value is not None:
                draft.body[name] = value


def _write_service_tier(draft: GeminiRequestBuilder) -> None:
    """OpenAI's tiers under Google's names."""
    tier = draft.take("service_tier")
    if not isinstance(tier, str) or tier not in _TIER_NAMES:
        draft.leave_out("service_tier", tier)
    elif (google_tier := _TIER_NAMES[tier]) is not None:
        draft.body["serviceTier"] = google_tier


def _write_labels(draft: GeminiRequestBuilder) -> None:
    """Vertex bills by labels: what of `metadata` and `user` may be one, becomes one."""
    labels: dict[str, Json] = {}
    native_labels = draft.take("labels")
    metadata = draft.take("metadata")
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(value, str) and _LABEL_NAME.fullmatch(name) and _LABEL_VALUE.fullmatch(value):
            labels[name] = value
        else:
            draft.ignored.append(f"metadata.{name}")
    user = draft.take("user")
    if isinstance(user, str) and _LABEL_VALUE.fullmatch(user):
        labels["user"] = user
    elif user is not None:
        draft.ignored.append("user")
    if isinstance(native_labels, dict):
        labels.update(native_labels)
    if labels:
        draft.body["labels"] = labels
