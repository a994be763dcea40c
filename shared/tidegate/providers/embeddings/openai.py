"""OpenAI's dialect of embeddings, at those that speak it, with their quirks.

Sources, read in 2026-11: https://platform.openai.com/docs/api-reference/embeddings/create (2,048 inputs and 300,000
tokens), https://docs.mistral.ai/api/endpoint/embeddings, https://docs.voyageai.com/reference/embeddings-api (1,000
inputs and 120,000 tokens), https://api.jina.ai/redoc, https://docs.nvidia.com/nim/nemo-retriever/text-embedding,
https://openrouter.ai/docs/api/api-reference/embeddings/create-embeddings,
https://www.alibabacloud.com/help/en/model-studio/embedding (10 inputs),
https://docs.siliconflow.cn/en/api-reference/embeddings/create-embeddings (32 inputs),
https://docs.vllm.ai/en/latest/serving/openai_compatible_server/, https://docs.ollama.com/api/openai-compatibility,
https://docs.perplexity.ai/docs/embeddings (vectors of signed bytes in base64, which are not of length one), and
https://docs.perplexity.ai/api-reference/embeddings-post (512 texts and 120,000 tokens).
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input, input_json
from tidegate.json import Json, JsonObject
from tidegate.providers.base import Auth, KeyAuth
from tidegate.providers.embeddings.dialect import EmbeddingsTarget, EmbeddingsWork, InputLimits, Vectors, texts_only
from tidegate.providers.embeddings.purposes import purpose_at

MAX_TOKENS = 250_000
"""Tokens of one request to OpenAI, by our estimate, which may be too low by a sixth."""


class EmbeddingsQuirks(Struct, frozen=True):
    """How a provider's embeddings deviate from OpenAI's.

    `tokens`: it takes tokens in place of texts. `base64`: it sends vectors in base64 where asked. `signed_bytes`: it
    sends them in base64 of a byte for each number. `dimensions` is its name of that field, None if it has none.
    `purpose` is its field for what the texts are for, in the words of `purposes.py` under `words`. `extra` are fields
    of its own, which are sent as they are; None: all are.
    """

    limits: InputLimits = InputLimits()
    tokens: bool = False
    base64: bool = False
    signed_bytes: bool = False
    dimensions: str | None = "dimensions"
    user: bool = False
    purpose: str | None = None
    words: str = ""
    extra: frozenset[str] | None = frozenset()
    path: str = "/embeddings"


_OPENAI = EmbeddingsQuirks(InputLimits(2_048, MAX_TOKENS), tokens=True, base64=True, user=True)
_SELF_HOSTED = EmbeddingsQuirks(extra=None)
_PLAIN = EmbeddingsQuirks()

ROWS: dict[str, EmbeddingsQuirks] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "mistral": EmbeddingsQuirks(InputLimits(512, 12_000), dimensions="output_dimension"),
    "openrouter": EmbeddingsQuirks(tokens=True, base64=True, user=True, purpose="input_type", words="openrouter"),
    "voyage": EmbeddingsQuirks(
        InputLimits(1_000, 100_000),
        base64=True,
        dimensions="output_dimension",
        purpose="input_type",
        words="voyage",
        extra=frozenset({"truncation"}),
    ),
    "jina": EmbeddingsQuirks(
        InputLimits(512),
        purpose="task",
        words="jina",
        extra=frozenset({"late_chunking", "truncate", "normalized"}),
    ),
    "nvidia": EmbeddingsQuirks(
        InputLimits(50), base64=True, purpose="input_type", words="nvidia", extra=frozenset({"truncate"})
    ),
    "together": EmbeddingsQuirks(dimensions=None),
    "fireworks": _PLAIN,
    "deepinfra": EmbeddingsQuirks(InputLimits(1_024)),
    "databricks": _PLAIN,
    "perplexity": EmbeddingsQuirks(InputLimits(512, 100_000), signed_bytes=True, path="/v1/embeddings"),
    "qwen": EmbeddingsQuirks(InputLimits(10)),
    "siliconflow": EmbeddingsQuirks(InputLimits(32)),
    "sambanova": EmbeddingsQuirks(dimensions=None),
    "nebius": _PLAIN,
    "novita": _PLAIN,
    "scaleway": _PLAIN,
    "vercel": EmbeddingsQuirks(user=True),
    "litellm": EmbeddingsQuirks(tokens=True, user=True),
    "gpustack": _SELF_HOSTED,
    "ollama": _SELF_HOSTED,
    "lmstudio": _SELF_HOSTED,
    "llamacpp": EmbeddingsQuirks(tokens=True, base64=True, extra=None),
    "vllm": EmbeddingsQuirks(tokens=True, base64=True, user=True, extra=None),
    "sglang": EmbeddingsQuirks(tokens=True, extra=None),
}
"""Providers that have embeddings in OpenAI's dialect, by name."""

OPERATORS_ROW = EmbeddingsQuirks(tokens=True, user=True, extra=None)
"""For a provider that the operator added: what it has is not known, so that it gets what the caller sent."""


class OpenAIEmbeddings(Struct, frozen=True):
    """See `EmbeddingsDialect`. `url` returns the address of a path of the API at a deployment."""

    name: str
    quirks: EmbeddingsQuirks
    url: Callable[[Deployment, str], str]
    auth: Auth = KeyAuth()

    def limits(self, model: str) -> InputLimits:
        return self.quirks.limits

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        quirks = self.quirks
        values = [input_json(each) for each in inputs] if quirks.tokens else texts_only(inputs, self.name)
        body: JsonObject = {"model": deployment.model, "input": values}
        if quirks.base64:
            body["encoding_format"] = work.encoding
        if quirks.dimensions is not None and "dimensions" in work.fields:
            body[quirks.dimensions] = work.take("dimensions")
        if quirks.purpose is not None and work.purpose is not None:
            body[quirks.purpose] = purpose_at(quirks.words, work.take_purpose())
        if quirks.user and "user" in work.fields:
            body["user"] = work.take("user")
        for name in list(work.fields):
            if quirks.extra is None or name in quirks.extra:
                body[name] = work.take(name)
        return EmbeddingsTarget(self.url(deployment, quirks.path), body, self.auth)

    def parse(self, body: JsonObject) -> Vectors:
        match body:
            case {"data": [*entries]}:
                ordered = sorted(enumerate(entries), key=_index)
                vectors = [_vector(entry) for _, entry in ordered]
                if self.quirks.signed_bytes:
                    vectors = [_signed_bytes(vector) for vector in vectors]
                return Vectors(vectors, _tokens(body.get("usage")))
            case _:
                raise ValueError("it has no list of vectors")


def _index(numbered: tuple[int, Json]) -> int:
    place, entry = numbered
    match entry:
        case {"index": int(index)}:
            return index
        case _:
            return place


def _vector(entry: Json) -> Json:
    match entry:
        case {"embedding": vector}:
            return vector
        case _:
            raise ValueError("an entry has no vector")


def _signed_bytes(vector: Json) -> Json:
    try:
        return [*memoryview(b64decode(str(vector), validate=True)).cast("b")]
    except binascii.Error:
        raise ValueError("a vector is not base64") from None


def _tokens(usage: Json) -> Json:
    match usage:
        case {"prompt_tokens": tokens} if tokens is not None:
            return tokens
        case {"total_tokens": tokens}:
            return tokens
        case _:
            return None
