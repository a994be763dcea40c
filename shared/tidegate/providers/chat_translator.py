"""The `Translator` of chat completions at one provider; restores the caller's own terms in every reply."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TypeGuard, cast

from msgspec import Struct

from tidegate.chat.completion import Chunk
from tidegate.chat.request import ChatCall, ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.errors import UpstreamError
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.providers.base import Framing, Headers, Provider, StreamEvent, UpstreamRequest


class ChatTranslator(Struct, frozen=True):
    """Translates chat completions with `provider`. See `Translator`."""

    provider: Provider

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def framing(self) -> Framing:
        return self.provider.framing

    @property
    def signs_reasoning(self) -> bool:
        return self.provider.signs_reasoning

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        return self.provider.media_urls(_chat(call), deployment)

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        return self.provider.build_request(_chat(call), deployment)

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        completion = self.provider.parse_completion(body)
        if not needs_restoring(request):
            return completion
        return load("tidegate.providers.caller_terms", "restore_completion")(request, completion)

    def parse_stream(
        self, request: UpstreamRequest, events: AsyncIterator[Sequence[StreamEvent]]
    ) -> AsyncGenerator[Sequence[ReplyChunk]]:
        chunks = self.provider.parse_stream(events)
        return _restore(request, chunks) if needs_restoring(request) else chunks

    def is_reply(self, body: Json) -> bool:
        return not isinstance(body, dict) or "choices" in body

    def has_content(self, chunk: ReplyChunk) -> bool:
        return bool(cast(Chunk, chunk)["choices"])

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return self.provider.parse_error(status, headers, body)


def needs_restoring(request: UpstreamRequest) -> bool:
    """True if replies to the request are not in the caller's terms."""
    return bool(request.caller_tool_names) or request.answer_tool is not None or request.legacy_functions


async def _restore(request: UpstreamRequest, chunks: AsyncGenerator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
    restore_stream = load("tidegate.providers.caller_terms", "restore_stream")
    async with aclosing(chunks):
        async for batch in restore_stream(request, chunks):
            yield batch


def _is_chat(call: Call) -> TypeGuard[ChatCall]:
    return isinstance(call.request, ChatRequest)


def _chat(call: Call) -> ChatCall:
    if not _is_chat(call):
        raise TypeError("A chat provider got a call of another operation.")
    return call
