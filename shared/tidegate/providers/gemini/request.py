"""A request in Gemini's dialect, out of a chat request.

Source: https://ai.google.dev/api/generate-content,
https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent.
Both as of 2026-11.
"""

import re

from tidegate.domain.call import Call
from tidegate.json import Json
from tidegate.providers.gemini import capabilities, generation_config, messages, thinking, tools
from tidegate.providers.gemini.capabilities import Host
from tidegate.providers.gemini.request_builder import Draft
from tidegate.providers.request_builder import sent
from tidegate.providers.toolnames import Alphabet, ToolNames

_NAMES = Alphabet("a-zA-Z0-9_.:-", first="a-zA-Z_")
"""Source: https://ai.google.dev/api/caching#FunctionDeclaration (2026-11): at most 128 of these."""

_SILENT = frozenset({"model", "stream", "stream_options"})
"""Fields that are honoured elsewhere."""

_NATIVE = ("safetySettings", "cachedContent")
_VERTEX = ("modelArmorConfig",)
_TIERS: dict[str, str | None] = {"auto": None, "default": "standard", "flex": "flex", "priority": "priority"}
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABELLED = re.compile(r"[a-z0-9_-]{0,63}")


def build(call: Call, host: Host, name: str) -> Draft:
    """The request for that model. Raises `InvalidRequest` for what cannot be said."""
    left = sent(call)
    draft = Draft(call, left, host=host, model=capabilities.read(name), names=ToolNames(_NAMES, left))
    messages.write(draft)
    tools.write(draft)
    generation_config.write(draft)
    thinking.write(draft)
    _write_native(draft)
    _write_tier(draft)
    if host == "vertex":
        _write_labels(draft)
    if draft.config:
        draft.body["generationConfig"] = draft.config
    for field, value in draft.left.items():
        if field not in _SILENT:
            draft.leave_out(field, value)
    return draft


def _write_native(draft: Draft) -> None:
    for name in _NATIVE + (_VERTEX if draft.host == "vertex" else ()):
        for spelt in (name, generation_config.snake(name)):
            value = draft.take(spelt)
            if value is not None:
                draft.body[name] = value


def _write_tier(draft: Draft) -> None:
    """OpenAI's tiers under Google's names."""
    tier = draft.take("service_tier")
    if not isinstance(tier, str) or tier not in _TIERS:
        draft.leave_out("service_tier", tier)
    elif (sold := _TIERS[tier]) is not None:
        draft.body["serviceTier"] = sold


def _write_labels(draft: Draft) -> None:
    """Vertex bills by labels: what of `metadata` and `user` may be one, becomes one."""
    labels: dict[str, Json] = {}
    given = draft.take("labels")
    metadata = draft.take("metadata")
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(value, str) and _LABEL.fullmatch(name) and _LABELLED.fullmatch(value):
            labels[name] = value
        else:
            draft.ignored.append(f"metadata.{name}")
    user = draft.take("user")
    if isinstance(user, str) and _LABELLED.fullmatch(user):
        labels["user"] = user
    elif user is not None:
        draft.ignored.append("user")
    if isinstance(given, dict):
        labels.update(given)
    if labels:
        draft.body["labels"] = labels
