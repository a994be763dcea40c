"""Which of the known providers the operator has configured."""

from collections.abc import Iterable

from tidegate.domain.model import Endpoint
from tidegate.ports import Secrets
from tidegate.providers import Known
from tidegate.providers.registry import setting


async def endpoints(known: Iterable[Known], settings: Secrets) -> dict[str, Endpoint]:
    """Every provider by name, with what is still missing. Base URLs are looked up where the keys are."""
    return {provider.name: await _endpoint(provider, settings) for provider in known}


async def _endpoint(provider: Known, settings: Secrets) -> Endpoint:
    base_url = await settings.get(provider.base_url_setting) or provider.base_url
    key = provider.key_setting or setting(provider.name, "API_KEY")
    has_key = await settings.get(key) is not None
    missing: list[str] = []
    if base_url is None:
        missing.append(provider.base_url_setting)
    if provider.key_setting is not None and not has_key:
        missing.append(provider.key_setting)
    return Endpoint(provider.name, base_url or "", key if has_key or provider.key_setting else None, tuple(missing))
