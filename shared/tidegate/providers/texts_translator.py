"""The parts that translators of operations on texts share: replies come whole, without media and reasoning."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.domain.usage import Usage, parse_count
from tidegate.errors import OperationNotSupported, ProviderMalformed, UpstreamError
from tidegate.json import Json, JsonObject
from tidegate.providers.base import Framing, Headers, Provider, StreamParser, UpstreamRequest

_T = TypeVar("_T")


class TextsTranslator(Struct, frozen=True):
    """Has the parts of a `Translator` that are equal for all operations on texts. `provider` reads the errors."""

    provider: Provider
    framing: Framing = "sse"

    @property
    def name(self) -> str:
        return self.provider.name

    def signs_reasoning(self, call: Call, deployment: Deployment) -> bool:
        return False

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def open_stream(self, request: UpstreamRequest) -> StreamParser:
        self._refuse_stream()

    def reply_chunks(self, reply: Reply) -> Sequence[ReplyChunk]:
        self._refuse_stream()

    def has_content(self, chunk: ReplyChunk) -> bool:
        self._refuse_stream()

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        return self.provider.parse_error(status, headers, body)

    def malformed(self, reason: str) -> ProviderMalformed:
        """Return the error for a reply that cannot be read."""
        return ProviderMalformed(f"{self.name} answered with something unexpected: {reason}.")

    def _refuse_stream(self) -> NoReturn:
        raise TypeError("An operation on texts does not stream.")


def caller_fields(body: JsonObject) -> JsonObject:
    """Return the caller's fields that are meant for the provider, without those of every request."""
    others = GATEWAY_FIELDS | {"model", "stream"}
    return {name: value for name, value in body.items() if value is not None and name not in others}


def input_usage(tokens: Json, **details: Json) -> Usage | None:
    """Return the usage of a call without an answer in tokens; None if the provider has not reported it."""
    if tokens is None:
        return None
    count = parse_count(tokens)
    return Usage(prompt_tokens=count, completion_tokens=0, total_tokens=count)


def summed_usage(replies: Iterable[Reply]) -> Usage | None:
    """Return the usage of all replies together; None if one of them has none."""
    total = 0
    for reply in replies:
        match reply.get("usage"):
            case {"prompt_tokens": int(tokens)} if tokens >= 0:
                total += tokens
            case _:
                return None
    return Usage(prompt_tokens=total, completion_tokens=0, total_tokens=total)


def not_supported(provider: str, operation: str, supporting: Iterable[str]) -> OperationNotSupported:
    """Return the error for a provider without the operation; it names those that have it."""
    names = ", ".join(sorted(supporting))
    return OperationNotSupported(f"The provider {provider!r} has no {operation}. These have: {names}.", param="model")


def notes_of(request: UpstreamRequest, kind: type[_T]) -> _T:
    """Return what a translator has noted with its request. Raises `TypeError` for a request of another one."""
    if not isinstance(request.notes, kind):
        raise TypeError("The request was made by another translator.")
    return request.notes
