"""Ollama's embeddings. Durations are not measured here: they are 0.

Source: https://docs.ollama.com/api/embed (2026-11).
"""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from tidegate.chat.parse import decode_body
from tidegate.domain.operation import Operation, Reply, Request
from tidegate.domain.surface import NO_HEADERS
from tidegate.errors import OperationNotSupported, TidegateError
from tidegate.json import Json, JsonObject, encode
from tidegate.surfaces.openai import OpenAISurface
from tidegate.texts.request import TextsRequest

_IGNORED = ("truncate", "options", "keep_alive", "encoding_format")
"""Fields about Ollama's own models, and OpenAI's for vectors as text, which Ollama's reply cannot have.

Providers refuse a text that is too long, or shorten it.
"""


class OllamaEmbedSurface(OpenAISurface, frozen=True):
    """Ollama's embeddings, in front of every provider."""

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        if operation.name != "embeddings":
            raise OperationNotSupported("This path has embeddings alone.")
        sent = decode_body(body)
        fields: JsonObject = {name: value for name, value in sent.items() if name not in _IGNORED}
        request = cast(TextsRequest, operation.parse(encode(fields)))
        ignored = tuple(name for name in _IGNORED if sent.get(name) is not None)
        return replace(request, ignored=(*request.ignored, *ignored))

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        usage, data = cast("Mapping[str, Json]", reply.get("usage") or {}), cast("list[JsonObject]", reply["data"])
        return encode(
            {
                "model": cast("Mapping[str, Json]", reply).get("model"),
                "embeddings": [each["embedding"] for each in data],
                **dict.fromkeys(("total_duration", "load_duration"), 0),
                "prompt_eval_count": usage.get("prompt_tokens", 0),
            }
        )

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return encode({"error": error.message})


OLLAMA_EMBED = OllamaEmbedSurface(name="ollama_embed")
