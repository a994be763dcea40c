"""A request of the Messages API as a chat request; the body as sent stays in its origin.

Sources: https://platform.claude.com/docs/en/api/messages/create, …/build-with-claude/effort, …/structured-outputs, and
https://code.claude.com/docs/en/llm-gateway-protocol (2026-11).
"""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from tidegate.chat.parse import decode_body
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.domain.operation import Origin
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces.messages import conversation, signatures, tools
from tidegate.surfaces.messages.portable import portable_body

DIALECT = "messages"

_HEADER = re.compile(rb"anthropic-[a-z0-9-]{1,64}")
_OWN_HEADERS = frozenset({b"anthropic-dangerous-direct-browser-access"})
_ANSWER_NAME = "answer"


def parse(body: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Return the chat request in `body`. Raises `InvalidRequest`, with Anthropic's spelling of paths in its message."""
    raw = decode_body(body)
    _check(raw)
    chat_body, ignored = translate(raw)
    request = build_chat_request(chat_body, len(body))
    if request.output_limit is None:
        raise InvalidRequest("max_tokens: Field required", param="max_tokens")
    origin = Origin(
        DIALECT,
        without_own_thinking(raw) if signatures.PREFIX.encode() in body else raw,
        _forwarded_headers(headers),
        ignored=ignored,
        session_id=_session_id(raw.get("metadata")),
        portable=portable_body,
    )
    return replace(request, origin=origin)


def translate(raw: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """Return the body of the chat request, and the paths that it cannot honour. Raises `InvalidRequest`.

    Anthropic's own fields and tools stay in it: `portable_body` leaves them out for providers that do not know them.
    """
    messages, ignored = conversation.translate(raw.get("system"), raw.get("messages"))
    body: JsonObject = {"model": raw.get("model"), "messages": messages}
    for name, value in raw.items():
        if value is None or name in ("model", "messages", "system"):
            continue
        match name, value:
            case "stop_sequences", list(sequences):
                if sequences:
                    body["stop"] = sequences
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
            case _:
                body[name] = value
    return body, tuple(ignored)


def without_own_thinking(raw: JsonObject) -> JsonObject:
    """Return the body without thinking that holds another provider's reasoning: Anthropic refuses its signatures."""
    turns = raw.get("messages")
    cleaned: list[Json] = []
    for turn in turns if isinstance(turns, list) else []:
        match turn:
            case {"role": "assistant", "content": list(listed)}:
                rest = [block for block in listed if not _is_own_thinking(block)]
                cleaned.append({**turn, "content": rest or [{"type": "text", "text": "(no content)"}]})
            case _:
                cleaned.append(turn)
    return {**raw, "messages": cleaned}


def _is_own_thinking(block: Json) -> bool:
    return isinstance(block, dict) and any(signatures.is_ours(block.get(name)) for name in ("signature", "data"))


def _check(raw: JsonObject) -> None:
    """Refuse what no provider could be asked, in Anthropic's words."""
    for name, kind, kind_name in (("model", str, "string"), ("messages", list, "list")):
        value = raw.get(name)
        if value is None:
            raise InvalidRequest(f"{name}: Field required", param=name)
        if not isinstance(value, kind):
            raise InvalidRequest(f"{name}: Input should be a valid {kind_name}", param=name)
    if raw.get("messages") == []:
        raise InvalidRequest("messages: at least one message is required", param="messages")


def _write_output_config(body: JsonObject, config: JsonObject, ignored: list[str]) -> None:
    for name, value in config.items():
        match name, value:
            case "effort", str(effort):
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
