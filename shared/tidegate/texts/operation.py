"""An operation on texts as an `Operation`: its replies come whole, and have no text of their own to check."""

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from msgspec import Struct

from tidegate.chat.parse import decode_body
from tidegate.domain.operation import ReasoningCollector, Reply, ReplyChunk, ReplyLog, Request, Stamp, Text
from tidegate.domain.usage import Usage
from tidegate.json import Json
from tidegate.texts.request import TextsRequest

CHAT_ID = "chatcmpl-"
"""How the surface's ids of replies begin; replies of other operations have ids without it."""


class TextsOperation(Struct, frozen=True):
    """An `Operation` of requests of the type `request`. `answers` is the field of replies with the list of answers."""

    name: str
    prompt_field: str
    request: type[TextsRequest]
    answers: str

    def parse(self, body: bytes) -> TextsRequest:
        return self.request.build(decode_body(body), len(body))

    def read_reply(self, reply: Reply, log: ReplyLog) -> None:
        log.usage = cast("Usage | None", reply.get("usage"))
        log.finish_reason = "stop"

    def stamp_reply(self, reply: Reply, request: Request, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        return self.with_stamp(reply, stamp, usage)

    def with_stamp(self, reply: Reply, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        """Return the reply with the call's id, model and usage."""
        return {**reply, "id": stamp.id.removeprefix(CHAT_ID), "model": stamp.model, "usage": usage}

    def stamper(self, request: Request, stamp: Stamp, log: ReplyLog, collector: ReasoningCollector | None) -> NoReturn:
        self.refuse_stream()

    def renew(self, reply: Reply, stamp: Stamp) -> Reply:
        usage = cast("Mapping[str, object]", reply.get("usage") or {})
        return self.with_stamp(reply, stamp, {**usage, "words_used": 0, "cost": 0})

    def is_reply(self, reply: Reply) -> bool:
        return isinstance(reply.get(self.answers), list)

    def is_storable(self, reply: Reply) -> bool:
        return True

    def request_texts(self, request: Request) -> list[Text]:
        return list(_texts(request).texts())

    def searched_request_texts(self, request: Request) -> list[str]:
        return [each.text for each in self.request_texts(request) if each.kind != "encoded"]

    def with_request_texts(self, request: Request, texts: Sequence[str]) -> Request:
        return request.with_body(_texts(request).body_with_texts(texts))

    def reply_texts(self, reply: Reply) -> list[Text]:
        return []

    def searched_reply_texts(self, reply: Reply) -> list[str]:
        return []

    def with_reply_texts(self, reply: Reply, texts: Sequence[str]) -> Reply:
        return reply

    def argument_texts(self, arguments: str) -> list[Text]:
        return []

    def with_argument_texts(self, arguments: str, texts: Sequence[str]) -> str:
        return arguments

    def checkable_answers(self, reply: Reply) -> list[str]:
        return []

    def with_other_prompt(self, request: Request, text: str) -> Request:
        return request.with_body({**request.body, self.prompt_field: text})

    def dependent_fields(self, name: str) -> tuple[str, ...]:
        return ()

    def refuse_stream(self) -> NoReturn:
        """Raise `TypeError`: a request that streams has been refused before."""
        raise TypeError(f"The operation {self.name!r} does not stream.")

    def assembler(self) -> NoReturn:
        self.refuse_stream()

    def replay(self, reply: Reply) -> Sequence[ReplyChunk]:
        self.refuse_stream()

    def is_usage_chunk(self, chunk: ReplyChunk) -> bool:
        self.refuse_stream()

    def reasoning_collector(self, request: Request) -> "NoReasoning":
        return NoReasoning()


class NoReasoning:
    """The `ReasoningCollector` of replies without reasoning."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add_reply(self, reply: Reply) -> None: ...

    def add_delta(self, delta: Mapping[str, object]) -> None: ...

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        return None


def _texts(request: Request) -> TextsRequest:
    if not isinstance(request, TextsRequest):
        raise TypeError("An operation on texts got a request of another operation.")
    return request
