"""The purpose of texts, which some models need to know: in the callers' words, and in those of each provider.

Sources, read in 2026-11: https://docs.cohere.com/reference/embed, https://docs.voyageai.com/reference/embeddings-api,
https://api.jina.ai/redoc, https://ai.google.dev/api/embeddings (TaskType),
https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html.
"""

from collections.abc import Mapping
from types import MappingProxyType

_COHERE = MappingProxyType(
    {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }
)
_VOYAGE = MappingProxyType({"query": "query", "document": "document"})
_NVIDIA = MappingProxyType({"query": "query", "document": "passage"})
_JINA = MappingProxyType(
    {
        "query": "retrieval.query",
        "document": "retrieval.passage",
        "classification": "classification",
        "clustering": "separation",
        "similarity": "text-matching",
    }
)
_GOOGLE = MappingProxyType(
    {
        "query": "RETRIEVAL_QUERY",
        "document": "RETRIEVAL_DOCUMENT",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "SEMANTIC_SIMILARITY",
    }
)
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"cohere": _COHERE, "voyage": _VOYAGE, "nvidia": _NVIDIA, "jina": _JINA, "google": _GOOGLE, "openrouter": _COHERE}
)
"""By dialect: the provider's words by the gateway's."""

_CALLERS: Mapping[str, str] = MappingProxyType(
    {
        theirs.lower(): ours
        for words in WORDS.values()
        for ours, theirs in [*words.items(), *((name, name) for name in words)]
    }
)


def purpose_at(dialect: str, purpose: str | None) -> str | None:
    """Return the provider's word for what the texts are for: a known one, or else the caller's own."""
    if purpose is None:
        return None
    ours = _CALLERS.get(purpose.lower())
    return purpose if ours is None else WORDS[dialect].get(ours, purpose)
