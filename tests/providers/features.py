"""What callers may ask of a provider, as data: a request without it, one with it, and how a case shows it."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tidegate.domain.call import Media

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
_PDF = b"%PDF-1.4\n%%EOF\n"
_WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"
_MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"

IMAGE_URL = "https://media.invalid/dot.png"
FETCHED = {IMAGE_URL: Media("image/png", _PNG)}
"""What the gateway would have fetched for providers that want bytes."""

Shown = Callable[[dict[str, Any], Any], bool]
"""Whether a case shows the feature, by its request and its reply (None where it has none)."""


@dataclass(frozen=True)
class Feature:
    """`fields` are the paths by which it is reported. `hint`: it may be left out unsaid, since nothing is lost.

    `by_reply`: the provider may do it without being asked, so that a reply alone can prove it.
    """

    name: str
    without: dict[str, Any]
    asked: dict[str, Any]
    fields: tuple[str, ...]
    shown: Shown
    hint: bool = False
    by_reply: bool = False


def _uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]}


_TEXT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_WITH_TOOL: dict[str, Any] = {**_TEXT, "tools": [_TOOL]}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
_DETAILS = [
    {"type": "reasoning.text", "text": "Ask.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "c2ln", "id": "call_1", "format": "google-gemini-v1", "index": 1},
]


def _turns(**thoughts: Any) -> dict[str, Any]:
    called = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    return {
        "messages": [
            {"role": "user", "content": "Weather in Rome?"},
            {"role": "assistant", "content": None, "tool_calls": [called], **thoughts},
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
        ],
        "tools": [_TOOL],
    }


def _parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for message in request["messages"]:
        if isinstance(message.get("content"), list):
            yield from message["content"]


def _part(kind: str, start: str = "") -> Shown:
    """A part of that kind, whose address or data starts so."""

    def shown(request: dict[str, Any], reply: Any) -> bool:
        return any(part["type"] == kind and start in _address(part) for part in _parts(request))

    return shown


def _address(part: dict[str, Any]) -> str:
    inner = part.get(part["type"])
    return str(inner.get("url") or inner.get("file_data") or "") if isinstance(inner, dict) else ""


def _sends(*names: str, value: Any = ...) -> Shown:
    def shown(request: dict[str, Any], reply: Any) -> bool:
        return all(
            request.get(name) not in (None, False, [], {}) if value is ... else request.get(name) == value
            for name in names
        )

    return shown


def _calls_tools(request: dict[str, Any], reply: Any) -> bool:
    return any(tool.get("type") == "function" for tool in request.get("tools") or []) and _says(reply, "tool_calls")


def _reasons(request: dict[str, Any], reply: Any) -> bool:
    asked = any(request.get(name) for name in ("reasoning_effort", "reasoning", "thinking"))
    return asked and request.get("reasoning_effort") != "none"


def _replays(request: dict[str, Any], reply: Any) -> bool:
    return any(message.get("reasoning_details") for message in request["messages"])


def _caches(request: dict[str, Any], reply: Any) -> bool:
    replies = reply if isinstance(reply, list) else [reply or {}]
    return any((one.get("usage", {}).get("prompt_tokens_details") or {}).get("cached_tokens") for one in replies)


def _says(reply: Any, name: str) -> bool:
    replies = reply if isinstance(reply, list) else [reply or {}]
    choices = [choice for one in replies for choice in one.get("choices", [])]
    return any((choice.get("message") or choice.get("delta") or {}).get(name) for choice in choices)


def _named_choice(request: dict[str, Any], reply: Any) -> bool:
    return isinstance(request.get("tool_choice"), dict)


def _cached_part() -> dict[str, Any]:
    return {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}


def _field(name: str, asked: dict[str, Any], shown: Shown | None = None) -> Feature:
    """A feature that is one or more top-level fields."""
    return Feature(name, _TEXT, {**_TEXT, **asked}, tuple(asked), shown or _sends(*asked))


def _media(name: str, part: dict[str, Any], shown: Shown) -> Feature:
    return Feature(name, _user(), _user(part), ("messages[0].content[1]",), shown)


FEATURES: tuple[Feature, ...] = (
    Feature("text", {}, _TEXT, (), lambda request, reply: isinstance(reply, dict) and "choices" in reply),
    Feature("stream", _TEXT, {**_TEXT, "stream": True}, ("stream",), lambda request, reply: isinstance(reply, list)),
    Feature("tools", _TEXT, _WITH_TOOL, ("tools", "tools[0]"), _calls_tools),
    Feature(
        "parallel tools off",
        _WITH_TOOL,
        {**_WITH_TOOL, "parallel_tool_calls": False},
        ("parallel_tool_calls",),
        _sends("parallel_tool_calls", value=False),
    ),
    Feature(
        "tool choice: required",
        _WITH_TOOL,
        {**_WITH_TOOL, "tool_choice": "required"},
        ("tool_choice",),
        _sends("tool_choice", value="required"),
    ),
    Feature(
        "tool choice: named",
        _WITH_TOOL,
        {**_WITH_TOOL, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ("tool_choice",),
        _named_choice,
    ),
    _media("image by URL", {"type": "image_url", "image_url": {"url": IMAGE_URL}}, _part("image_url", "http")),
    _media(
        "image as data",
        {"type": "image_url", "image_url": {"url": _uri("image/png", _PNG)}},
        _part("image_url", "data:"),
    ),
    _media(
        "PDF",
        {"type": "file", "file": {"filename": "a.pdf", "file_data": _uri("application/pdf", _PDF)}},
        _part("file", "application/pdf"),
    ),
    _media(
        "audio",
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(_WAV).decode(), "format": "wav"}},
        _part("input_audio"),
    ),
    _media("video", {"type": "video_url", "video_url": {"url": _uri("video/mp4", _MP4)}}, _part("video_url")),
    _field(
        "JSON schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA, "strict": True}}},
        lambda request, reply: (request.get("response_format") or {}).get("type") == "json_schema",
    ),
    _field("reasoning", {"reasoning_effort": "high"}, _reasons),
    Feature(
        "reasoning replayed",
        _turns(),
        _turns(reasoning_details=_DETAILS),
        ("messages[1].reasoning_details",),
        _replays,
        hint=True,
    ),
    _field("web search", {"web_search_options": {"search_context_size": "low"}}, _sends("web_search_options")),
    Feature(
        "prompt caching",
        _user({"type": "text", "text": "Long."}),
        _user(_cached_part()),
        ("messages[0].content[1].cache_control",),
        _caches,
        hint=True,
        by_reply=True,
    ),
    _field("logprobs", {"logprobs": True}),
    _field("n", {"n": 2}, lambda request, reply: (request.get("n") or 1) > 1),
    _field("seed", {"seed": 7}),
    _field("stop", {"stop": ["END"]}),
    _field("penalties", {"presence_penalty": 0.5, "frequency_penalty": 0.5}),
    _field("repetition penalty", {"repetition_penalty": 1.1}),
    _field("top_k", {"top_k": 20}),
    _field("min_p", {"min_p": 0.1}),
    _field("logit bias", {"logit_bias": {"50256": -5}}),
    _field("user", {"user": "u1"}),
)
