"""Which providers have moderations, and the translator of each."""

from tidegate.providers.base import Provider, Translator
from tidegate.providers.moderations.translator import ModerationTranslator
from tidegate.providers.openai.provider import OpenAI
from tidegate.providers.texts_translator import not_supported

PROVIDERS = frozenset({"openai", "mistral", "litellm"})
"""The built-in providers that have moderations."""

_TEXTS_ALONE = frozenset({"mistral"})


def make_translator(provider: Provider, *, is_built_in: bool) -> Translator:
    """Return the provider's translator. Raises `OperationNotSupported` if it has no moderations."""
    name = provider.name
    if not isinstance(provider, OpenAI) or (is_built_in and name not in PROVIDERS):
        raise not_supported(name, "moderations", PROVIDERS)
    takes_parts = name not in _TEXTS_ALONE
    return ModerationTranslator(provider, url=provider.url, auth=provider.row.auth, takes_parts=takes_parts)
