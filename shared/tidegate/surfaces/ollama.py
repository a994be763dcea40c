"""Ollama's chat for clients, in front of every provider: objects on lines of their own instead of server-sent events.

Source: https://docs.ollama.com/api/chat (2026-11). Durations are not measured here: they are 0.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias, cast

from msgspec.structs import replace

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.parse import decode_body
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.domain.operation import Operation, Reply, ReplyChunk, Request
from tidegate.domain.origin import Origin
from tidegate.domain.surface import NO_HEADERS
from tidegate.errors import InvalidRequest, OperationNotSupported, TidegateError
from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.surfaces.openai import OpenAISurface

_OPTIONS = {
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "seed", "stop")},
    **{"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"},
    **{"repeat_penalty": "repetition_penalty", "num_predict": "max_tokens"},
}
"""Chat's fields by Ollama's options. The others are about Ollama's own memory."""

_IMAGE_TYPES = {"/9j/": "image/jpeg", "iVBOR": "image/png", "R0lGO": "image/gif", "UklGR": "image/webp"}
"""Media types by how images begin in base64."""

_FINISH = {"length": "length"}

_Calls: TypeAlias = dict[int, list[str]]
"""By their index: the name and the arguments, as text, of the tool calls of a stream."""


class OllamaStream:
    """Encodes one streamed reply. Tool calls are sent once they are complete."""

    content_type = b"application/x-ndjson"

    def __init__(self) -> None:
        self._head: JsonObject = {"model": "", "created_at": _time(0)}
        self._calls: _Calls = {}
        self._finish = "stop"
        self._usage: Mapping[str, Json] = {}

    @property
    def keep_alive(self) -> bytes:
        """A message without text: every line must be an object with one."""
        return _line(self._message({"content": ""}))

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`."""
        return b"".join(map(self._encode, cast("Sequence[Chunk]", chunks)))

    def end(self) -> bytes:
        """See `SurfaceStream.end`."""
        calls = [_call(name, arguments) for name, arguments in self._calls.values()]
        before = _line(self._message({"content": "", "tool_calls": [*calls]})) if calls else b""
        return before + _line(self._message({"content": ""}) | _end(self._finish, self._usage))

    def error(self, error: TidegateError) -> bytes:
        """See `SurfaceStream.error`."""
        return _line({"error": error.message})

    def _encode(self, chunk: Chunk) -> bytes:
        stamped = cast("Mapping[str, Json]", chunk)
        self._head = {"model": stamped.get("model"), "created_at": _time(stamped.get("created"))}
        self._usage = cast("Mapping[str, Json]", chunk.get("usage") or self._usage)
        lines: list[bytes] = []
        for choice in chunk["choices"]:
            if choice["index"]:
                continue  # a message has one answer
            delta = choice["delta"]
            self._finish = choice["finish_reason"] or self._finish
            for call in delta.get("tool_calls") or ():
                function = call.get("function", {})
                known = self._calls.setdefault(call.get("index", 0), ["", ""])
                known[0] += function.get("name") or ""
                known[1] += function.get("arguments") or ""
            content, thinking = delta.get("content") or delta.get("refusal") or "", delta.get("reasoning") or ""
            if content or thinking:
                shown: JsonObject = {"content": content, "thinking": thinking} if thinking else {"content": content}
                lines.append(_line(self._message(shown)))
        return b"".join(lines)

    def _message(self, message: JsonObject) -> JsonObject:
        return {**self._head, "message": {"role": "assistant", **message}, "done": False}


class OllamaSurface(OpenAISurface, frozen=True):
    """Ollama's dialect, in front of every provider."""

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`. A request streams unless it says otherwise."""
        return self.build(operation, decode_body(body), len(body))

    def build(self, operation: Operation, sent: JsonObject, size: int) -> ChatRequest:
        """Return the chat request for a body of Ollama's chat."""
        if operation.name != "chat":
            raise OperationNotSupported("This dialect has chat alone.")
        fields, ignored = _chat_fields(sent)
        request = build_chat_request(fields, size)
        return replace(request, origin=Origin("ollama", None, ignored=ignored))

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        return encode(self.answer(reply))

    def answer(self, reply: Reply) -> JsonObject:
        """Return a completion in the form of Ollama's chat."""
        completion, stamped = cast("Completion", reply), cast("Mapping[str, Json]", reply)
        choice = completion["choices"][0]
        answer = choice["message"]
        message: JsonObject = {"role": "assistant", "content": answer["content"] or answer["refusal"] or ""}
        if answer.get("reasoning"):
            message["thinking"] = answer.get("reasoning")
        calls = [call.get("function", {}) for call in answer.get("tool_calls") or ()]
        if calls:
            message["tool_calls"] = [_call(call.get("name") or "", call.get("arguments") or "") for call in calls]
        head: JsonObject = {"model": stamped.get("model"), "created_at": _time(stamped.get("created"))}
        usage = cast("Mapping[str, Json]", completion.get("usage") or {})
        return {**head, "message": message, **_end(choice["finish_reason"], usage)}

    def open_stream(self, request: Request) -> OllamaStream:
        """See `Surface.open_stream`."""
        return OllamaStream()

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return encode({"error": error.message})


OLLAMA = OllamaSurface(name="ollama", always_includes_usage=True)


def _chat_fields(sent: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """Return the fields as those of chat, and the paths of those that chat has not."""
    others = {name: value for name, value in sent.items() if name not in ("options", "format", "think", "keep_alive")}
    fields: JsonObject = {"stream": True, **others, "messages": _messages(sent.get("messages"))}
    options = sent.get("options") or {}
    if not isinstance(options, dict):
        raise _invalid("options", "an object")
    fields |= {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
    if isinstance(fields.get("max_tokens"), int) and cast("int", fields["max_tokens"]) < 1:
        del fields["max_tokens"]  # -1 is no limit
    match sent.get("format"):
        case "json":
            fields["response_format"] = {"type": "json_object"}
        case dict(schema):
            fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        case None | "":
            pass
        case _:
            raise _invalid("format", '"json", or a schema')
    match sent.get("think"):
        case bool(enabled):
            fields["reasoning"] = {"enabled": enabled}
        case str(effort):
            fields["reasoning_effort"] = effort
        case None:
            pass
        case _:
            raise _invalid("think", "true, false, or an effort")
    unknown = [f"options.{name}" for name in options if name not in _OPTIONS]
    return fields, (*unknown, *(["keep_alive"] if sent.get("keep_alive") is not None else []))


def _invalid(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{name}': expected {expected}.", param=name)


def _messages(messages: Json) -> Json:
    """Return the messages as those of chat. What is not a message is left to the validation."""
    if not isinstance(messages, list):
        raise InvalidRequest("Missing required field: 'messages'.", param="messages")
    called: list[str] = []
    return [_message(message, called) if isinstance(message, dict) else message for message in messages]


def _message(message: JsonObject, called: list[str]) -> JsonObject:
    """Translate one message. `called` are the ids of calls that have no result yet: Ollama's calls have none."""
    chat = {name: value for name, value in message.items() if name in ("role", "content")}
    images = message.get("images")
    if isinstance(images, list) and images:
        text: Json = {"type": "text", "text": chat.get("content") or ""}
        chat["content"] = [text, *map(_image_part, images)]
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        chat["tool_calls"] = [_tool_call(call, called) for call in calls]
    if chat.get("role") == "tool":
        chat["tool_call_id"] = called.pop(0) if called else str(message.get("tool_name") or "call")
    return chat


def _tool_call(call: Json, called: list[str]) -> Json:
    match call:
        case {"function": {"name": str(name), "arguments": arguments}}:
            call_id = f"call_{name}_{len(called)}"
            called.append(call_id)
            return {
                "id": call_id,
                "type": "function",
                "function": {"name": name, "arguments": encode(arguments).decode()},
            }
        case _:
            return call


def _image_part(image: Json) -> Json:
    text = str(image)
    media_type = next((kind for start, kind in _IMAGE_TYPES.items() if text.startswith(start)), "image/png")
    url = text if text.startswith("data:") else f"data:{media_type};base64,{text}"
    return {"type": "image_url", "image_url": {"url": url}}


def _call(name: str, arguments: str) -> JsonObject:
    return {"function": {"name": name, "arguments": decode_or_none(arguments) or {}}}


def _end(finish: str | None, usage: Mapping[str, Json]) -> JsonObject:
    durations: JsonObject = dict.fromkeys(
        ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 0
    )
    counts: JsonObject = {
        "prompt_eval_count": usage.get("prompt_tokens", 0),
        "eval_count": usage.get("completion_tokens", 0),
    }
    return {"done": True, "done_reason": _FINISH.get(finish or "", "stop"), **durations, **counts}


def _time(created: Json) -> str:
    seconds = created if isinstance(created, int) else 0
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _line(value: JsonObject) -> bytes:
    return encode(value) + b"\n"
