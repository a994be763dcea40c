"""Chat completions as an `Operation`: reads, stamps, checks and replays their replies.

The protocols of an operation have general types; `cast` narrows them here to chat's completions and chunks.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from msgspec import Struct

from tidegate.catalog.row import PRICE_OPTIONS
from tidegate.chat.completion import Chunk, Completion, CompletionMessage, Delta
from tidegate.chat.request import ChatRequest, build_chat_request, parse_chat_request
from tidegate.domain.operation import Assembler, ReasoningCollector, Reply, ReplyChunk, ReplyLog, Request, Stamp, Text
from tidegate.json import JsonObject
from tidegate.lazy import load

_NOTHING: Mapping[str, object] = MappingProxyType({})

_DEPENDENT_FIELDS = {
    "tools": ("tool_choice", "parallel_tool_calls"),
    "functions": ("function_call",),
    "stream": ("stream_options",),
    "logprobs": ("top_logprobs",),
}
_REASONING_FIELDS = ("reasoning", "reasoning_content", "reasoning_details")
_CHUNK = "chat.completion.chunk"
_OTHER_PARTS = frozenset({"reasoning", "tool_calls", "function_call", "images", "audio"})
"""The parts of an answer beside its text."""


class ChatOperation(Struct, frozen=True):
    """The `Operation` of `POST …/chat/completions`."""

    name: str = "chat"
    prompt_field: str = "messages"

    parse = staticmethod(parse_chat_request)

    def read_reply(self, reply: Reply, log: ReplyLog) -> None:
        # The replies of an operation have its type.
        completion: Completion = reply  # pyright: ignore[reportAssignmentType]
        log.usage = usage = completion.get("usage")
        if "service_tier" in completion or (usage and ("speed" in usage or "inference_geo" in usage)):
            _read_price_fields(reply, usage or _NOTHING, log)
        for choice in completion["choices"]:
            log.finish_reason = choice["finish_reason"]
            log.native_finish_reason = choice.get("native_finish_reason")
            _read_text(choice["message"], log)

    def stamp_reply(self, reply: Reply, request: Request, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        # The requests of an operation are those that it has parsed.
        chat_request: ChatRequest = request  # pyright: ignore[reportAssignmentType]
        reasoning = chat_request.reasoning
        if reasoning is not None and reasoning.exclude:
            for choice in cast(Completion, reply)["choices"]:
                _strip_reasoning(choice["message"])
        # Twice: these come first in every reply, whatever its provider's translation begins with.
        common = {"id": stamp.id, "object": "chat.completion", "created": stamp.created, "model": stamp.model}
        return {**common, **reply, "usage": usage, **common}

    def stamper(
        self, request: Request, stamp: Stamp, log: ReplyLog, collector: ReasoningCollector | None
    ) -> "ChatStamper":
        # The requests of an operation are those that it has parsed.
        chat_request: ChatRequest = request  # pyright: ignore[reportAssignmentType]
        reasoning = chat_request.reasoning
        common: dict[str, object] = {"id": stamp.id, "object": _CHUNK, "created": stamp.created, "model": stamp.model}
        return ChatStamper(common, reasoning is not None and reasoning.exclude, log, collector)

    def reasoning_collector(self, request: Request) -> ReasoningCollector:
        return load("tidegate.chat.reasoning_signatures", "ChatReasoningCollector")(_chat(request).fields.messages)

    def assembler(self) -> Assembler:
        return load("tidegate.chat.assemble", "CompletionAssembler")()

    def replay(self, reply: Reply) -> Sequence[ReplyChunk]:
        return list(load("tidegate.chat.replay", "completion_chunks")(reply))

    def is_usage_chunk(self, chunk: ReplyChunk) -> bool:
        return not cast(Chunk, chunk)["choices"]

    def renew(self, reply: Reply, stamp: Stamp) -> Reply:
        usage = {**(cast(Completion, reply).get("usage") or {}), "words_used": 0, "cost": 0}
        return {**reply, "id": stamp.id, "created": stamp.created, "usage": usage}

    def is_reply(self, reply: Reply) -> bool:
        return reply.get("object") == "chat.completion" and bool(reply.get("choices"))

    def is_storable(self, reply: Reply) -> bool:
        finish_reasons = [choice["finish_reason"] for choice in cast(Completion, reply)["choices"]]
        return "content_filter" not in finish_reasons

    def request_texts(self, request: Request) -> list[Text]:
        return _texts("body_texts")(request.body)

    def searched_request_texts(self, request: Request) -> list[str]:
        return _texts("searched_body_texts")(request.body, is_plain=request.is_plain)

    def with_request_texts(self, request: Request, texts: Sequence[str]) -> Request:
        return request.with_body(_texts("with_body_texts")(request.body, texts))

    def reply_texts(self, reply: Reply) -> list[Text]:
        return _texts("completion_texts")(reply)

    def searched_reply_texts(self, reply: Reply) -> list[str]:
        return _texts("searched_completion_texts")(reply)

    def with_reply_texts(self, reply: Reply, texts: Sequence[str]) -> Reply:
        return _texts("with_completion_texts")(reply, texts)

    def argument_texts(self, arguments: str) -> list[Text]:
        return _texts("argument_texts")(arguments)

    def with_argument_texts(self, arguments: str, texts: Sequence[str]) -> str:
        return _texts("with_argument_texts")(arguments, texts)

    def checkable_answers(self, reply: Reply) -> list[str]:
        """A choice that calls tools instead, or refuses, is left out."""
        return [
            message["content"] or ""
            for message in (choice["message"] for choice in cast(Completion, reply)["choices"])
            if message["content"] is not None
            or not (message.get("tool_calls") or message.get("function_call") or message["refusal"])
        ]

    def with_other_prompt(self, request: Request, text: str) -> ChatRequest:
        message: JsonObject = {"role": "user", "content": text}
        return build_chat_request({**request.body, "messages": [message]}, request.sent_bytes)

    def dependent_fields(self, name: str) -> tuple[str, ...]:
        return _DEPENDENT_FIELDS.get(name, ())


CHAT = ChatOperation()


class ChatStamper(Struct):
    """The `Stamper` of chat. `common` are the fields that all chunks of a stream share."""

    common: dict[str, object]
    hides_reasoning: bool
    log: ReplyLog
    collector: ReasoningCollector | None = None
    fingerprint: object = None

    def stamp(self, batch: Sequence[ReplyChunk]) -> list[ReplyChunk]:
        """Usage is held back for the chunk that ends the stream. Strict clients refuse a null fingerprint in chunks."""
        log, common = self.log, self.common
        stamped: list[ReplyChunk] = []
        # The chunks of an operation have its type. Nothing is called for what most of them lack.
        chunks: Sequence[Chunk] = batch  # pyright: ignore[reportAssignmentType]
        for chunk in chunks:
            if "usage" in chunk or "service_tier" in chunk:
                _read_usage(chunk, log)
            fingerprint = chunk.get("system_fingerprint", "")
            if fingerprint:
                self.fingerprint = fingerprint
            choices = chunk["choices"]
            if not choices:
                continue
            for choice in choices:
                delta = choice["delta"]
                if "content" in delta and len(delta) == 1:  # the common case
                    text = delta["content"]
                    if text:
                        log.answer_text.append(text)
                        if self.collector is not None and not choice["index"]:
                            self.collector.texts.append(text)
                else:
                    self._read_delta(choice["index"], delta)
                if choice["finish_reason"] is not None:
                    log.finish_reason = choice["finish_reason"]
                    log.native_finish_reason = choice.get("native_finish_reason")
            stamped_chunk: dict[str, object] = {**common, **chunk, **common}
            if fingerprint is None:
                del stamped_chunk["system_fingerprint"]
            stamped.append(stamped_chunk)
        return stamped

    def _read_delta(self, index: int, delta: Delta) -> None:
        """Read a delta with more than a text, and strip it of what the caller excluded."""
        _read_text(delta, self.log)
        if self.collector is not None and not index:
            self.collector.add_delta(delta)
        if self.hides_reasoning:
            _strip_reasoning(delta)

    def usage_chunk(self, usage: Mapping[str, object]) -> ReplyChunk:
        fingerprint = {"system_fingerprint": self.fingerprint} if self.fingerprint else {}
        return {**self.common, "choices": [], "usage": usage, **fingerprint}


@cache
def _texts(name: str) -> Any:  # functions of `guardrail_texts` with different types
    return load("tidegate.chat.guardrail_texts", name)


def _chat(request: Request) -> ChatRequest:
    if not isinstance(request, ChatRequest):
        raise TypeError("The chat operation got a request of another operation.")
    return request


def _read_usage(chunk: Chunk, log: ReplyLog) -> None:
    usage, tier = chunk.get("usage"), chunk.get("service_tier")
    if usage:
        log.usage = usage
    if usage or (tier and tier != log.price_fields.get("service_tier")):
        _read_price_fields(cast(ReplyChunk, chunk), usage or _NOTHING, log)


def _read_price_fields(reply: Reply | ReplyChunk, usage: Mapping[str, object], log: ReplyLog) -> None:
    """Record the service tier, and what Anthropic reports beside its counts: the speed, and where the model ran."""
    for name in PRICE_OPTIONS:
        source = reply if name == "service_tier" else usage
        if name in source and source[name] is not None:
            log.price_fields[name] = source[name]


def _read_text(message: CompletionMessage | Delta, log: ReplyLog) -> None:
    if "content" in message and (content := message["content"]):
        log.answer_text.append(content)
    if _OTHER_PARTS.isdisjoint(message):
        return
    reasoning = message.get("reasoning")
    if reasoning:
        log.reasoning_text.append(reasoning)
    for call in message.get("tool_calls") or ():
        log.other_text.append(call.get("function", {}).get("arguments") or "")
    function = message.get("function_call")
    if function:
        log.other_text.append(function.get("arguments") or "")
    log.images += len(message.get("images") or ())
    audio = message.get("audio")
    if isinstance(audio, dict):
        log.audio_characters += len(str(audio.get("data") or ""))
        log.other_text.append(str(audio.get("transcript") or ""))


def _strip_reasoning(message: CompletionMessage | Delta) -> None:
    for name in _REASONING_FIELDS:
        message.pop(name, None)
