"""A toy operation, all in this folder: vectors for a text, as a new endpoint would bring them.

The request is `{"model", "input"}`, the reply `{"object": "vector", "vector": [...], "usage"}`. It does not stream.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs
from msgspec.structs import replace

from tidegate.chat.estimate import estimate_text
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GatewayFields
from tidegate.domain.operation import (
    AnswerSchema,
    ModelLimits,
    Reply,
    ReplyChunk,
    ReplyLog,
    Request,
    Stamp,
    Text,
)
from tidegate.domain.origin import Origin
from tidegate.domain.usage import TokenCounts
from tidegate.errors import InvalidRequest, ProviderFailed, UpstreamError
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.providers.base import Headers, StreamParser, UpstreamRequest


class ToyFields(GatewayFields, frozen=True):
    model: str
    input: str


class ToyRequest(Struct, frozen=True):
    fields: ToyFields
    body: JsonObject
    sent_bytes: int
    ignored: tuple[str, ...] = ()
    origin: Origin | None = None
    stream: bool = False
    is_plain: bool = False
    includes_usage: bool = False
    choices: int = 1
    output_limit: int | None = None
    streams_plain_text: bool = False

    @property
    def size(self) -> int:
        return self.sent_bytes

    @property
    def model(self) -> str:
        return self.fields.model

    @property
    def options(self) -> GatewayFields:
        return self.fields

    def translated(self) -> "ToyRequest":
        return self

    def with_model(self, model: str) -> "ToyRequest":
        return replace(self, fields=structs.replace(self.fields, model=model), body={**self.body, "model": model})

    def with_output_limit(self, limit: int) -> "ToyRequest":
        return self

    def with_body(self, body: JsonObject) -> "ToyRequest":
        return build(body, self.sent_bytes)

    def without_fields(self, names: Iterable[str]) -> "ToyRequest":
        return build({name: value for name, value in self.body.items() if name not in set(names)}, self.sent_bytes)

    def estimate_prompt(self) -> int:
        return estimate_text(self.fields.input)

    def prompt_tokens(self, sent: bytes) -> TokenCounts:
        return TokenCounts(input=self.estimate_prompt(), estimated=True)

    def hidden_reasoning(self, model: ModelLimits | None, arrived: int) -> int:
        return 0

    def worst_case(self, model: ModelLimits | None, sent: bytes | None = None) -> TokenCounts:
        return TokenCounts(input=2 * self.estimate_prompt(), estimated=True)

    def prompt_texts(self) -> Iterator[str]:
        yield self.fields.input

    def cache_fields(self) -> JsonObject:
        return {"input": self.fields.input}

    @property
    def session_id(self) -> str | None:
        return None

    def session_key(self, session_id: str | None) -> bytes:
        return (session_id or "").encode()

    def reasoning_turns(self) -> Mapping[int, str]:
        return {}

    def answer_schema(self) -> AnswerSchema | None:
        return None


def build(raw: JsonObject, sent_bytes: int) -> ToyRequest:
    try:
        return ToyRequest(msgspec.convert(raw, ToyFields), raw, sent_bytes)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None


class ToyCollector:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def add_reply(self, reply: Reply) -> None: ...

    def add_delta(self, delta: Mapping[str, object]) -> None: ...

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        return None


class ToyOperation(Struct, frozen=True):
    name: str = "toy"
    prompt_field: str = "input"

    def parse(self, body: bytes) -> ToyRequest:
        raw: Any = decode(body)
        return build(raw, len(body))

    def read_reply(self, reply: Reply, log: ReplyLog) -> None:
        usage: Any = reply.get("usage")
        log.usage = usage

    def stamp_reply(self, reply: Reply, request: Request, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        return {**reply, "id": stamp.id, "model": stamp.model, "usage": usage}

    def stamper(self, request: Request, stamp: Stamp, log: ReplyLog, collector: Any) -> Any:
        raise NotImplementedError

    def reasoning_collector(self, request: Request) -> ToyCollector:
        return ToyCollector()

    def assembler(self) -> Any:
        raise NotImplementedError

    def replay(self, reply: Reply) -> Sequence[ReplyChunk]:
        raise NotImplementedError

    def is_usage_chunk(self, chunk: ReplyChunk) -> bool:
        raise NotImplementedError

    def renew(self, reply: Reply, stamp: Stamp) -> Reply:
        usage: Any = reply["usage"]
        return {**reply, "id": stamp.id, "usage": {**usage, "words_used": 0, "cost": 0}}

    def is_reply(self, reply: Reply) -> bool:
        return reply.get("object") == "vector"

    def is_storable(self, reply: Reply) -> bool:
        return True

    def request_texts(self, request: Request) -> list[Text]:
        return [Text(text, "input") for text in request.prompt_texts()]

    def searched_request_texts(self, request: Request) -> list[str]:
        return [each.text for each in self.request_texts(request) if each.kind != "encoded"]

    def with_request_texts(self, request: Request, texts: Sequence[str]) -> Request:
        return request.with_body({**request.body, "input": texts[0]})

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
        return request.with_body({**request.body, "input": text})

    def dependent_fields(self, name: str) -> tuple[str, ...]:
        return ()


TOY = ToyOperation()


class ToyTranslator(Struct, frozen=True):
    """The operation at a provider that has it at `…/vectors`."""

    name: str
    framing: Literal["sse"] = "sse"

    def signs_reasoning(self, call: Call, deployment: Deployment) -> bool:
        return False

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        body = {"model": deployment.model, "text": call.request.body["input"]}
        return UpstreamRequest(f"{deployment.base_url}/vectors", encode(body))

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        assert isinstance(body, dict)
        return {"object": "vector", **body}

    def open_stream(self, request: UpstreamRequest) -> StreamParser:
        raise NotImplementedError

    def reply_chunks(self, reply: Reply) -> Sequence[ReplyChunk]:
        raise NotImplementedError

    def has_content(self, chunk: ReplyChunk) -> bool:
        raise NotImplementedError

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return ProviderFailed(f"The provider answered {status}.")
