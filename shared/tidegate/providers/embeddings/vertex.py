"""Embeddings on Vertex AI: `predict`, and `embedContent` for the newer models.

Sources, read in 2026-11: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings and
…/model-reference/text-embeddings-api (250 texts and 20,000 tokens in a request, gemini-embedding-001 one text),
https://docs.cloud.google.com/ruby/docs/reference/google-cloud-ai_platform-v1/latest (EmbedContentResponse).
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input
from tidegate.json import Json, JsonObject
from tidegate.providers.base import KeyAuth
from tidegate.providers.embeddings.dialect import EmbeddingsTarget, EmbeddingsWork, InputLimits, Vectors, texts_only
from tidegate.providers.embeddings.gemini import prompt_tokens, values_of
from tidegate.providers.embeddings.purposes import purpose_at

_ONE_TEXT = re.compile(r"gemini-embedding")
_EMBED_CONTENT = re.compile(r"gemini-embedding-(?!001)")
_FOLDER = "publishers/google/models/"


class VertexEmbeddings(Struct, frozen=True):
    """See `EmbeddingsDialect`."""

    def limits(self, model: str) -> InputLimits:
        return InputLimits(1) if _ONE_TEXT.search(model) else InputLimits(250, 16_000)

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        texts = texts_only(inputs, "vertex")
        purpose, dimensions = purpose_at("google", work.take_purpose()), work.take("dimensions")
        is_content = _EMBED_CONTENT.search(deployment.model) is not None
        body = _content(texts[0], purpose, dimensions) if is_content else _instances(texts, purpose, dimensions)
        path = _FOLDER + quote(deployment.model.removeprefix(_FOLDER), safe="@-._~")
        url = f"{deployment.base_url.rstrip('/')}/{path}:{'embedContent' if is_content else 'predict'}"
        return EmbeddingsTarget(url, body, KeyAuth("x-goog-api-key", ""))

    def parse(self, body: JsonObject) -> Vectors:
        match body:
            case {"predictions": [*predictions]}:
                entries = [_embeddings(prediction) for prediction in predictions]
                return Vectors([values_of(entry) for entry in entries], _counted(entries))
            case {"embedding": entry}:
                return Vectors([values_of(entry)], prompt_tokens(body))
            case _:
                raise ValueError("it has no vectors")


def _instances(texts: Sequence[Json], purpose: str | None, dimensions: Json) -> JsonObject:
    task: JsonObject = {} if purpose is None else {"task_type": purpose}
    parameters: JsonObject = {} if dimensions is None else {"parameters": {"outputDimensionality": dimensions}}
    return {"instances": [{"content": text, **task} for text in texts], **parameters}


def _content(text: Json, purpose: str | None, dimensions: Json) -> JsonObject:
    settings: JsonObject = {"taskType": purpose, "outputDimensionality": dimensions}
    config: JsonObject = {name: value for name, value in settings.items() if value is not None}
    content: JsonObject = {"content": {"parts": [{"text": text}]}}
    return {**content, "embedContentConfig": config} if config else content


def _embeddings(prediction: Json) -> Json:
    match prediction:
        case {"embeddings": entry}:
            return entry
        case _:
            raise ValueError("a prediction has no vector")


def _counted(entries: Sequence[Json]) -> Json:
    """Return the sum of the tokens of all texts; None if they are not counted."""
    total = 0
    for entry in entries:
        match entry:
            case {"statistics": {"token_count": int() | float() as tokens}}:
                total += int(tokens)
            case _:
                return None
    return total
