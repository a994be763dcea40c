"""Cohere's embeddings. Source: https://docs.cohere.com/reference/embed (v2, 96 texts in a request; read 2026-11)."""

from collections.abc import Sequence

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input
from tidegate.json import Json, JsonObject
from tidegate.providers.base import KeyAuth
from tidegate.providers.embeddings.dialect import EmbeddingsTarget, EmbeddingsWork, InputLimits, Vectors, texts_only
from tidegate.providers.embeddings.purposes import purpose_at

MAX_TEXTS = 96
DEFAULT_PURPOSE = "search_document"
"""Models from version 3 on need one: texts are embedded to be found, unless the caller says otherwise."""


class CohereEmbeddings(Struct, frozen=True):
    """See `EmbeddingsDialect`."""

    def limits(self, model: str) -> InputLimits:
        return InputLimits(MAX_TEXTS)

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        body = {"model": deployment.model, **cohere_body(work, inputs, "cohere")}
        return EmbeddingsTarget(f"{deployment.base_url.rstrip('/')}/v2/embed", body, KeyAuth())

    def parse(self, body: JsonObject) -> Vectors:
        return cohere_vectors(body)


def cohere_body(work: EmbeddingsWork, inputs: Sequence[Input], provider: str) -> JsonObject:
    """Return Cohere's body, without the model."""
    body: JsonObject = {
        "texts": texts_only(inputs, provider),
        "input_type": purpose_at("cohere", work.take_purpose()) or DEFAULT_PURPOSE,
        "embedding_types": ["float"],
    }
    for name, theirs in (("dimensions", "output_dimension"), ("truncate", "truncate")):
        if name in work.fields:
            body[theirs] = work.take(name)
    return body


def cohere_vectors(body: JsonObject) -> Vectors:
    """Read Cohere's reply."""
    match body:
        case {"embeddings": {"float": [*vectors]}} | {"embeddings": [*vectors]}:
            return Vectors(vectors, _billed_tokens(body))
        case _:
            raise ValueError("it has no vectors")


def _billed_tokens(body: JsonObject) -> Json:
    match body:
        case {"meta": {"billed_units": {"input_tokens": tokens}}}:
            return tokens
        case _:
            return None
