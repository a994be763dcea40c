"""Which providers have embeddings, and the translator of each."""

from tidegate.lazy import load
from tidegate.providers.base import Provider, Translator
from tidegate.providers.embeddings.dialect import EmbeddingsDialect
from tidegate.providers.embeddings.openai import OPERATORS_ROW, ROWS, OpenAIEmbeddings
from tidegate.providers.embeddings.translator import EmbeddingsTranslator
from tidegate.providers.openai.provider import OpenAI
from tidegate.providers.texts_translator import not_supported

_OWN_DIALECTS: dict[str, tuple[str, str]] = {
    "cohere": ("tidegate.providers.embeddings.cohere", "CohereEmbeddings"),
    "gemini": ("tidegate.providers.embeddings.gemini", "GeminiEmbeddings"),
    "vertex": ("tidegate.providers.embeddings.vertex", "VertexEmbeddings"),
    "bedrock": ("tidegate.providers.embeddings.bedrock", "BedrockEmbeddings"),
}

PROVIDERS = frozenset({*ROWS, *_OWN_DIALECTS})
"""The built-in providers that have embeddings."""


def make_translator(provider: Provider, *, is_built_in: bool) -> Translator:
    """Return the provider's translator. Raises `OperationNotSupported` if it has no embeddings."""
    return EmbeddingsTranslator(provider, dialect=_dialect(provider, is_built_in=is_built_in))


def _dialect(provider: Provider, *, is_built_in: bool) -> EmbeddingsDialect:
    name = provider.name
    if name in _OWN_DIALECTS:
        module, class_name = _OWN_DIALECTS[name]
        return load(module, class_name)()
    quirks = ROWS.get(name) if is_built_in else OPERATORS_ROW
    if quirks is None or not isinstance(provider, OpenAI):
        raise not_supported(name, "embeddings", PROVIDERS)
    return OpenAIEmbeddings(name, quirks, provider.url, provider.row.auth)
