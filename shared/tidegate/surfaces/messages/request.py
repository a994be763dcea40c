"""A request of the Messages API as a chat request; the body as sent stays in its origin.

Sources: https://platform.claude.com/docs/en/api/messages/create, …/build-with-claude/effort, …/structured-outputs, and
https://code.claude.com/docs/en/llm-gateway-protocol (2026-11).
"""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from tidegate.chat.parse import decode_body
from tidegate.chat.reasoning import EFFORTS
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.domain.origin import Origin
from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces import sealed_details
from tidegate.surfaces.messages import conversation, tools
from tidegate.surfaces.messages.errors import refusal
from tidegate.surfaces.messages.notes import take_notes
from tidegate.surfaces.messages.own_marks import CALL_ID, without_own_marks
from tidegate.surfaces.messages.portable import portable_body

DIALECT = "messages"

_CHAT_ALONE = frozenset(
    {"audio", "function_call", "functions", "logprobs", "modalities", "n", "stream_options", "top_logprobs"}
)
"""Fields of chat completions that ask for what a message cannot have."""

_VERSION = re.compile(rb"\d{4}-\d{2}-\d{2}")
_HEADER = re.compile(rb"anthropic-[a-z0-9-]{1,64}")
_OWN_HEADERS = frozenset(
    {b"anthropic-dangerous-direct-browser-access", b"anthropic-user-profile-id", b"anthropic-workspace-id"}
)
"""Headers for the gateway's own account, or for browsers: they do not go on."""

_ANSWER_NAME = "answer"
_THINKING = ("enabled", "disabled", "adaptive")


def parse(body: bytes, headers: Mapping[bytes, bytes], *, needs_limit: bool = True) -> ChatRequest:
    """Return the chat request in `body`. Raises `InvalidRequest`, with Anthropic's spelling of paths in its message."""
    raw = decode_body(body)
    _check(raw, headers.get(b"anthropic-version", b""))
    refusals: dict[str, str] = {}
    chat_body, ignored, call_ids = translate(raw, refusals)
    request = build_chat_request(chat_body, len(body))
    if needs_limit and request.output_limit is None:
        raise refusal("max_tokens", "Field required")
    has_marks = sealed_details.PREFIX.encode() in body or not all(map(CALL_ID.fullmatch, call_ids))
    origin = Origin(
        DIALECT,
        without_own_marks(raw) if has_marks else raw,
        _forwarded_headers(headers),
        notes=take_notes(raw),
        ignored=ignored,
        session_id=_session_id(raw.get("metadata")),
        make_portable=portable_body,
        refusals=refusals,
    )
    return replace(request, origin=origin)


def translate(raw: JsonObject, refusals: dict[str, str]) -> tuple[JsonObject, tuple[str, ...], set[str]]:
    """Return the body of the chat request, the paths that it cannot honour, and the ids of the calls in it.

    Anthropic's own fields and tools stay in it: `portable_body` leaves them out for providers that do not know them.
    What cannot be translated is added to `refusals`, see `Origin`. Raises `InvalidRequest`.
    """
    messages, ignored, call_ids = conversation.translate(raw.get("system"), raw.get("messages"), refusals)
    body: JsonObject = {"model": raw.get("model"), "messages": messages}
    for name, value in raw.items():
        if value is None or name in ("model", "messages", "system"):
            continue
        match name, value:
            case "max_tokens", 0 if value is not False:
                body[name] = 1  # the least that a chat request can ask for, and that is held
                refusals[name] = (
                    "0 fills a cache without an answer, which only Anthropic does, with the request as sent"
                )
            case "stop_sequences", list(sequences):
                if sequences:
                    body["stop"] = sequences
            case "stop_sequences", _:
                raise refusal(name, "Input should be a valid list")
            case "tools", list(listed):
                body["tools"] = [tools.translate(tool) for tool in listed]
            case "tool_choice", dict(choice):
                body |= tools.choice_fields(choice, raw.get("tools"))
            case "output_config", dict(config):
                _write_output_config(body, config, ignored)
            case "output_format", dict(output_format):
                _write_format(body, output_format, "output_format", ignored)
            case "metadata", dict(metadata):
                _write_user(body, metadata, ignored)
            case "thinking", {"type": str(kind)} if kind not in _THINKING:
                ignored.append("thinking.type")
            case _ if name in _CHAT_ALONE:
                ignored.append(name)
            case _:
                body[name] = value
    return body, tuple(ignored), call_ids


def _check(raw: JsonObject, version: bytes) -> None:
    """Refuse what no provider could be asked, in Anthropic's words."""
    if version and not _VERSION.fullmatch(version.strip()):
        shown = version[:40].decode("latin-1")
        raise refusal("anthropic-version", f"{shown!r} is not a valid version: send a date such as 2023-06-01")
    for name, kind, kind_name in (("model", str, "string"), ("messages", list, "list")):
        value = raw.get(name)
        if value is None:
            raise refusal(name, "Field required")
        if not isinstance(value, kind):
            raise refusal(name, f"Input should be a valid {kind_name}")
    if raw.get("messages") == []:
        raise refusal("messages", "at least one message is required")


def _write_output_config(body: JsonObject, config: JsonObject, ignored: list[str]) -> None:
    for name, value in config.items():
        match name, value:
            case "effort", str(effort) if effort in EFFORTS:
                body["reasoning_effort"] = effort
            case "format", dict(output_format):
                _write_format(body, output_format, "output_config.format", ignored)
            case _, None:
                pass
            case _:
                ignored.append(f"output_config.{name}")


def _write_format(body: JsonObject, output_format: JsonObject, path: str, ignored: list[str]) -> None:
    match output_format:
        case {"type": "json_schema", "schema": dict(schema)}:
            json_schema: JsonObject = {"name": _ANSWER_NAME, "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        case _:
            ignored.append(path)


def _write_user(body: JsonObject, metadata: JsonObject, ignored: list[str]) -> None:
    """Write the opaque id of the end user. Claude Code's is JSON, which holds the ids of an account and a device."""
    for name, value in metadata.items():
        if name == "user_id" and isinstance(value, str) and not value.startswith("{"):
            body["user"] = value
        elif value is not None:
            ignored.append(f"metadata.{name}")


def _session_id(metadata: Json) -> str | None:
    """Return the session that Claude Code names in `metadata.user_id`."""
    match metadata:
        case {"user_id": str(user_id)}:
            match decode_or_none(user_id) if user_id.startswith("{") else None:
                case {"session_id": str(session_id)}:
                    return session_id or None
                case _:
                    return None
        case _:
            return None


def _forwarded_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return Anthropic's headers, which go on to a provider that speaks its dialect, also those that are not known."""
    return {
        name.decode("latin-1"): value.decode("latin-1").strip()
        for name, value in headers.items()
        if _HEADER.fullmatch(name) and name not in _OWN_HEADERS and value.isascii() and value.strip()
    }
