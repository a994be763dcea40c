"""Embeddings of the Gemini API.

Source: https://ai.google.dev/api/embeddings (`batchEmbedContents`, 100 requests in one; read 2026-11).
"""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input
from tidegate.json import Json, JsonObject
from tidegate.providers.base import KeyAuth
from tidegate.providers.embeddings.dialect import EmbeddingsTarget, EmbeddingsWork, InputLimits, Vectors, texts_only
from tidegate.providers.embeddings.purposes import purpose_at

MAX_TEXTS = 100


class GeminiEmbeddings(Struct, frozen=True):
    """See `EmbeddingsDialect`."""

    def limits(self, model: str) -> InputLimits:
        return InputLimits(MAX_TEXTS)

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        model = f"models/{deployment.model.removeprefix('models/')}"
        common: JsonObject = {"model": model}
        purpose = purpose_at("google", work.take_purpose())
        if purpose is not None:
            common["taskType"] = purpose
        if "dimensions" in work.fields:
            common["outputDimensionality"] = work.take("dimensions")
        if "title" in work.fields:
            common["title"] = work.take("title")
        texts = texts_only(inputs, "gemini")
        requests: list[Json] = [{**common, "content": {"parts": [{"text": text}]}} for text in texts]
        url = f"{deployment.base_url.rstrip('/')}/v1beta/{quote(model, safe='/@-._~')}:batchEmbedContents"
        return EmbeddingsTarget(url, {"requests": requests}, KeyAuth("x-goog-api-key", ""))

    def parse(self, body: JsonObject) -> Vectors:
        match body:
            case {"embeddings": [*entries]}:
                return Vectors([values_of(entry) for entry in entries], prompt_tokens(body))
            case _:
                raise ValueError("it has no vectors")


def values_of(entry: Json) -> Json:
    """Return the numbers of one of Google's vectors."""
    match entry:
        case {"values": values}:
            return values
        case _:
            raise ValueError("an entry has no vector")


def prompt_tokens(body: JsonObject) -> Json:
    """Return the tokens that Google has counted; None if it has not told them."""
    match body:
        case {"usageMetadata": {"promptTokenCount": tokens}}:
            return tokens
        case _:
            return None
