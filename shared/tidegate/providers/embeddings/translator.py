"""The `Translator` of embeddings at one provider: a long list goes in several requests, and comes back as one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeGuard, cast

from msgspec.structs import replace

from tidegate.chat.estimate import estimate_text
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply
from tidegate.embeddings.request import EmbeddingsCall, EmbeddingsRequest, Input
from tidegate.embeddings.vectors import as_encoding
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.base import FurtherRequests, UpstreamRequest
from tidegate.providers.embeddings.dialect import EmbeddingsDialect, EmbeddingsWork, InputLimits
from tidegate.providers.texts_translator import TextsTranslator, caller_fields, input_usage, notes_of, summed_usage

MAX_REQUESTS = 512
"""The most requests of one call: some models take one text in each."""


class _Expectation(NamedTuple):
    """The vectors that the reply to one request must have: one for each input, which the caller wants encoded so."""

    inputs: int
    encoding: str


class EmbeddingsTranslator(TextsTranslator, frozen=True, kw_only=True):
    """Translates embeddings in the provider's `dialect`. See `Translator`."""

    dialect: EmbeddingsDialect

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        request = _embeddings(call).request
        parts = list(_split(request.inputs, self.dialect.limits(deployment.model)))
        if len(parts) > MAX_REQUESTS:
            message = (
                f"{deployment.model_id} takes {len(parts[0])} of the inputs in a request, and a call may lead to"
                f" {MAX_REQUESTS}: send the others in more calls."
            )
            raise InvalidRequest(message, param="input")
        first, *others = [self._request(request, inputs, deployment) for inputs in parts]
        return replace(first, further=FurtherRequests(tuple(others), _join)) if others else first

    def _request(self, request: EmbeddingsRequest, inputs: Sequence[Input], deployment: Deployment) -> UpstreamRequest:
        fields = caller_fields(request.body)
        del fields["input"]
        work = EmbeddingsWork(fields, request.purpose, request.encoding)
        work.take("encoding_format")
        url, body, auth = self.dialect.target(work, inputs, deployment)
        notes = _Expectation(len(inputs), request.encoding)
        return UpstreamRequest(url, encode(body), auth=auth, ignored=tuple(work.fields), notes=notes)

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        expectation = notes_of(request, _Expectation)
        if not isinstance(body, dict):
            raise self.malformed("it is not an object")
        if "error" in body and isinstance(body["error"], dict):
            raise self.parse_error(400, {}, body)
        try:
            vectors, tokens = self.dialect.parse(body)
            if len(vectors) != expectation.inputs:
                raise ValueError(f"{len(vectors)} vectors for {expectation.inputs} inputs")
            data = [_entry(index, as_encoding(vector, expectation.encoding)) for index, vector in enumerate(vectors)]
        except (ValueError, TypeError, KeyError) as error:
            raise self.malformed(str(error)) from None
        return {"object": "list", "data": data, "usage": input_usage(tokens)}


def _entry(index: int, vector: Json) -> JsonObject:
    return {"object": "embedding", "index": index, "embedding": vector}


def _join(replies: Sequence[Reply]) -> Reply:
    """Return one reply with all vectors, in the order of the requests."""
    entries = [entry for reply in replies for entry in cast("list[JsonObject]", reply["data"])]
    data = [{**entry, "index": index} for index, entry in enumerate(entries)]
    return {"object": "list", "data": data, "usage": summed_usage(replies)}


def _split(inputs: Sequence[Input], limits: InputLimits) -> Iterator[list[Input]]:
    """Yield the inputs in lists that the provider takes; an input that is too long alone is left to its error."""
    part: list[Input] = []
    total = 0
    for each in inputs:
        tokens = 0
        if limits.tokens is not None:
            tokens = estimate_text(each) if isinstance(each, str) else len(each)
        is_full = len(part) == limits.inputs or (limits.tokens is not None and total + tokens > limits.tokens)
        if part and is_full:
            yield part
            part, total = [], 0
        part.append(each)
        total += tokens
    yield part


def _is_embeddings(call: Call) -> TypeGuard[EmbeddingsCall]:
    return isinstance(call.request, EmbeddingsRequest)


def _embeddings(call: Call) -> EmbeddingsCall:
    if not _is_embeddings(call):
        raise TypeError("A translator of embeddings got a call of another operation.")
    return call
