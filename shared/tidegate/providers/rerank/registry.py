"""Which providers have rerank, and the translator of each."""

from urllib.parse import quote

from tidegate.domain.deployment import Deployment
from tidegate.providers.base import Auth, KeyAuth, Provider, SigV4Auth, Translator
from tidegate.providers.openai.provider import OpenAI
from tidegate.providers.rerank.translator import RerankQuirks, RerankTranslator
from tidegate.providers.texts_translator import not_supported

_ALL = RerankQuirks(extra=None)

_QUIRKS: dict[str, RerankQuirks] = {
    "cohere": RerankQuirks(
        path="/v2/rerank", extra=frozenset({"max_tokens_per_doc", "priority"}), charges_searches=True
    ),
    "bedrock": RerankQuirks(path="", has_model=False, fixed={"cohere.": {"api_version": 2}}, charges_searches=True),
    "jina": RerankQuirks(fixed={"": {"return_documents": False}}),
    "voyage": RerankQuirks(limit="top_k", extra=frozenset({"truncation"})),
    "together": RerankQuirks(extra=frozenset({"rank_fields"})),
    "openrouter": RerankQuirks(charges_searches=True),
    "deepinfra": RerankQuirks(),
    "siliconflow": RerankQuirks(extra=frozenset({"max_chunks_per_doc", "overlap_tokens", "instruction"})),
    "novita": RerankQuirks(),
    "litellm": RerankQuirks(),
    **dict.fromkeys(("vllm", "sglang", "llamacpp", "gpustack"), _ALL),
}

PROVIDERS = frozenset(_QUIRKS)
"""The built-in providers that have rerank."""


def make_translator(provider: Provider, *, is_built_in: bool) -> Translator:
    """Return the provider's translator. Raises `OperationNotSupported` if it has no rerank."""
    name = provider.name
    quirks = _QUIRKS.get(name) if is_built_in else _ALL
    if quirks is None:
        raise not_supported(name, "rerank", PROVIDERS)
    if isinstance(provider, OpenAI):
        row_auth = provider.row.auth
        return RerankTranslator(provider, quirks=quirks, url=provider.url, auth=lambda _: row_auth)
    if name == "bedrock":
        return RerankTranslator(provider, quirks=quirks, url=_invoke_url, auth=_bedrock_auth)
    return RerankTranslator(provider, quirks=quirks, url=_base_url)


def _base_url(deployment: Deployment, path: str) -> str:
    return deployment.base_url.rstrip("/") + path


def _invoke_url(deployment: Deployment, path: str) -> str:
    return f"{deployment.base_url.rstrip('/')}/model/{quote(deployment.model, safe='')}/invoke"


def _bedrock_auth(deployment: Deployment) -> Auth:
    return KeyAuth() if deployment.secret else SigV4Auth("bedrock", deployment.region or "")
