"""Ollama's completion of one prompt: its chat with a prompt in place of messages.

Source: https://docs.ollama.com/api/generate (2026-11). `raw`, `template`, `suffix` and `context` are about the text
that a model of Ollama's own gets: they are named as ignored.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from tidegate.chat.parse import decode_body
from tidegate.domain.operation import Operation, Reply, Request
from tidegate.domain.surface import NO_HEADERS
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode
from tidegate.surfaces.ollama import OllamaStream, OllamaSurface

_OF_PROMPT = ("prompt", "system", "images")
_IGNORED = ("raw", "template", "suffix", "context")


class OllamaGenerateStream(OllamaStream):
    """Encodes one streamed reply."""

    def _message(self, message: JsonObject) -> JsonObject:
        return _as_response(super()._message(message))


class OllamaGenerateSurface(OllamaSurface, frozen=True):
    """Ollama's completion of a prompt, in front of every provider."""

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        sent = decode_body(body)
        ignored = tuple(name for name in _IGNORED if sent.get(name))
        rest = {name: value for name, value in sent.items() if name not in (*_OF_PROMPT, *_IGNORED)}
        request = self.build(operation, {**rest, "messages": _messages(sent)}, len(body))
        return replace(request, ignored=(*request.ignored, *ignored))

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        return encode(_as_response(self.answer(reply)))

    def open_stream(self, request: Request) -> OllamaGenerateStream:
        """See `Surface.open_stream`."""
        return OllamaGenerateStream()


OLLAMA_GENERATE = OllamaGenerateSurface(name="ollama_generate", always_includes_usage=True)


def _messages(sent: JsonObject) -> list[Json]:
    prompt, system = sent.get("prompt"), sent.get("system")
    if not isinstance(prompt, str):
        raise InvalidRequest("Missing required field: 'prompt'.", param="prompt")
    images: JsonObject = {"images": sent["images"]} if sent.get("images") else {}
    message: JsonObject = {"role": "user", "content": prompt, **images}
    return [{"role": "system", "content": system}, message] if isinstance(system, str) and system else [message]


def _as_response(reply: JsonObject) -> JsonObject:
    """Return the text of the message as the response."""
    message = reply["message"]
    fields = message if isinstance(message, dict) else {}
    thinking: JsonObject = {"thinking": fields["thinking"]} if fields.get("thinking") else {}
    rest = {name: value for name, value in reply.items() if name != "message"}
    return {**rest, "response": fields.get("content") or "", **thinking}
