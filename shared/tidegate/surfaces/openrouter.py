"""OpenRouter's dialect for clients: OpenAI's, with the provider in replies, and status numbers as error codes.

Source: https://openrouter.ai/docs/api-reference/overview and …/errors (2026-11), and the schemas of @openrouter/sdk 1.3
and @openrouter/ai-sdk-provider 2.10, which refuse replies that differ.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from tidegate.domain.operation import Reply, ReplyChunk, Request
from tidegate.errors import TidegateError
from tidegate.json import encode
from tidegate.surfaces.openai import OpenAIStream, OpenAISurface, error_object

_REQUIRED_COUNTS = {"prompt_tokens_details": "cached_tokens", "completion_tokens_details": "reasoning_tokens"}


class OpenRouterStream(OpenAIStream):
    """Keeps the fields that all chunks share: an error event is a chunk as well."""

    sends_chunks = False

    def __init__(self) -> None:
        self._shared: dict[str, object] = {"id": "", "created": 0, "model": "", "provider": ""}

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`."""
        named = [_for_openrouter(chunk) for chunk in chunks]
        if named:
            self._shared = {name: named[-1][name] for name in self._shared}
        return super().events(named)

    def error(self, error: TidegateError) -> bytes:
        """Return a chunk that has the error, without `[DONE]`."""
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}
        chunk = {**self._shared, "object": "chat.completion.chunk", "choices": [choice], **_openrouter_error(error)}
        if error.usage is not None:
            chunk["usage"] = _usage_for_openrouter(error.usage)
        return super().events([chunk])


class OpenRouterSurface(OpenAISurface, frozen=True):
    """OpenAI's dialect with OpenRouter's ids, errors and `provider`."""

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `gen-<unix seconds>-<the call's id>`."""
        return f"gen-{int(now)}-{call_id}"

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        return encode(_for_openrouter(reply))

    def open_stream(self, request: Request) -> OpenRouterStream:
        """See `Surface.open_stream`."""
        return OpenRouterStream()

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return encode(_openrouter_error(error))


def _openrouter_error(error: TidegateError) -> dict[str, object]:
    """Return OpenAI's error object with the status as `code`; the gateway's own code is in `metadata`."""
    body = error_object(error)["error"]
    return {"error": {**body, "code": error.status, "metadata": {"error_type": body["code"] or "server"}}}


def _for_openrouter(reply: Reply | ReplyChunk) -> dict[str, object]:
    """Return a reply or a chunk with its `provider`. The model is stamped as `provider/model`."""
    named = {**reply, "provider": str(reply["model"]).partition("/")[0]}
    if "usage" in named:
        named["usage"] = _usage_for_openrouter(cast("Mapping[str, object]", named["usage"]))
    return named


def _usage_for_openrouter(usage: Mapping[str, object]) -> dict[str, object]:
    """Return the usage as the AI SDK's provider takes it: no unknown cost, and in the details the counts it reads."""
    read = {name: value for name, value in usage.items() if name != "cost" or value is not None}
    for name, count in _REQUIRED_COUNTS.items():
        details = read.get(name)
        if isinstance(details, dict):
            read[name] = {count: 0, **cast("dict[str, object]", details)}
    return read


OPENROUTER = OpenRouterSurface(name="openrouter")
