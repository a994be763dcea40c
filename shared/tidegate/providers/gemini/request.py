"""A chat request as the body of generateContent.

Source: https://ai.google.dev/api/generate-content (2026-11, like the next),
https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent
"""

import re

from tidegate.chat.request import ChatCall
from tidegate.json import Json
from tidegate.providers.gemini import generation_config, messages, thinking, tools
from tidegate.providers.gemini.capabilities import Host, capabilities_of
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder
from tidegate.providers.request_builder import provider_fields
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_.:-", first="a-zA-Z_")
"""Source: https://ai.google.dev/api/caching#FunctionDeclaration (2026-11): at most 128 characters."""

_HANDLED_ELSEWHERE = frozenset({"model", "stream", "stream_options"})
"""Fields that other modules translate, so that they are not reported as ignored."""

_NATIVE_FIELDS = ("safetySettings", "cachedContent")
_VERTEX_FIELDS = ("modelArmorConfig",)
_SNAKE_CASE = {name: generation_config.to_snake_case(name) for name in (*_NATIVE_FIELDS, *_VERTEX_FIELDS)}
_TIER_NAMES: dict[str, str | None] = {"auto": None, "default": "standard", "flex": "flex", "priority": "priority"}
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def build(call: ChatCall, host: Host, model: str) -> GeminiRequestBuilder:
    """Translate the call for `model`. Raises `InvalidRequest` for content that Gemini does not support."""
    remaining, is_plain = provider_fields(call), call.request.is_plain
    names = ToolNames(_TOOL_NAME_RULES, None if is_plain else remaining)
    builder = GeminiRequestBuilder(call, remaining, names, host=host, capabilities=capabilities_of(model, host))
    messages.write(builder)
    if not is_plain:
        tools.write(builder)
    generation_config.write(builder)
    if not is_plain:
        thinking.write(builder)
        _write_native_fields(builder)
        _write_service_tier(builder)
    if host == "vertex":
        _write_labels(builder)
    if builder.generation_config:
        builder.body["generationConfig"] = builder.generation_config
    for field, value in builder.remaining.items():
        if field not in _HANDLED_ELSEWHERE:
            builder.leave_out(field, value)
    return builder


def _write_native_fields(builder: GeminiRequestBuilder) -> None:
    for name in _NATIVE_FIELDS + (_VERTEX_FIELDS if builder.host == "vertex" else ()):
        for spelling in (name, _SNAKE_CASE[name]):
            value = builder.take(spelling)
            if value is not None:
                builder.body[name] = value


def _write_service_tier(builder: GeminiRequestBuilder) -> None:
    """Write OpenAI's service tier under Google's name."""
    tier = builder.take("service_tier")
    if not isinstance(tier, str) or tier not in _TIER_NAMES:
        builder.leave_out("service_tier", tier)
    elif (google_tier := _TIER_NAMES[tier]) is not None:
        builder.body["serviceTier"] = google_tier


def _write_labels(builder: GeminiRequestBuilder) -> None:
    """Write valid `metadata` and `user` as labels, which appear on Vertex's bill."""
    labels: dict[str, Json] = {}
    native_labels = builder.take("labels")
    metadata = builder.take("metadata")
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(value, str) and _LABEL_NAME.fullmatch(name) and _LABEL_VALUE.fullmatch(value):
            labels[name] = value
        else:
            builder.ignored.append(f"metadata.{name}")
    user = builder.take("user")
    if isinstance(user, str) and _LABEL_VALUE.fullmatch(user):
        labels["user"] = user
    elif user is not None:
        builder.ignored.append("user")
    if isinstance(native_labels, dict):
        labels.update(native_labels)
    if labels:
        builder.body["labels"] = labels
