"""Embeddings on Amazon Bedrock: InvokeModel with the body of the model's maker.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
(one text in a request), …/model-parameters-embed.html (Cohere, 96 texts), and
https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html.
"""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input
from tidegate.json import Json, JsonObject
from tidegate.providers.base import KeyAuth, SigV4Auth
from tidegate.providers.embeddings.cohere import MAX_TEXTS, cohere_body, cohere_vectors
from tidegate.providers.embeddings.dialect import EmbeddingsTarget, EmbeddingsWork, InputLimits, Vectors, texts_only
from tidegate.providers.embeddings.purposes import purpose_at

_NOVA_PURPOSES = {
    "RETRIEVAL_QUERY": "GENERIC_RETRIEVAL",
    "RETRIEVAL_DOCUMENT": "GENERIC_INDEX",
    "CLASSIFICATION": "CLASSIFICATION",
    "CLUSTERING": "CLUSTERING",
}


class BedrockEmbeddings(Struct, frozen=True):
    """See `EmbeddingsDialect`."""

    def limits(self, model: str) -> InputLimits:
        return InputLimits(MAX_TEXTS if "cohere." in model else 1)

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        if "cohere." in deployment.model:
            body = cohere_body(work, inputs, "bedrock")
        elif "nova" in deployment.model:
            body = _nova_body(work, texts_only(inputs, "bedrock")[0])
        else:
            body = _titan_body(work, texts_only(inputs, "bedrock")[0])
        return EmbeddingsTarget(*invoke_model(deployment, body))

    def parse(self, body: JsonObject) -> Vectors:
        match body:
            case {"embedding": vector}:
                return Vectors([vector], body.get("inputTextTokenCount"))
            case {"embeddings": [{"embedding": vector}]}:
                return Vectors([vector], body.get("inputTextTokenCount"))
            case _:
                return cohere_vectors(body)


def invoke_model(deployment: Deployment, body: JsonObject) -> tuple[str, JsonObject, KeyAuth | SigV4Auth]:
    """Return the URL, the body and the credentials of a request to InvokeModel."""
    url = f"{deployment.base_url.rstrip('/')}/model/{quote(deployment.model, safe='')}/invoke"
    return url, body, KeyAuth() if deployment.secret else SigV4Auth("bedrock", deployment.region or "")


def _titan_body(work: EmbeddingsWork, text: Json) -> JsonObject:
    """Return Titan's body. Its first version has no dimensions, and answers a request that has some with an error."""
    body: JsonObject = {"inputText": text}
    if "dimensions" in work.fields:
        body["dimensions"] = work.take("dimensions")
    if "normalize" in work.fields:
        body["normalize"] = work.take("normalize")
    return body


def _nova_body(work: EmbeddingsWork, text: Json) -> JsonObject:
    purpose = purpose_at("google", work.take_purpose()) or ""
    parameters: JsonObject = {
        "embeddingPurpose": _NOVA_PURPOSES.get(purpose, purpose or "GENERIC_INDEX"),
        "text": {"truncationMode": "NONE", "value": text},
    }
    if "dimensions" in work.fields:
        parameters["embeddingDimension"] = work.take("dimensions")
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": parameters}
