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
    missing: list[str] = []
    region = await _first(provider.region_settings, settings)
    if provider.region_settings and region is None:
        missing.append(" or ".join(provider.region_settings))
    base_url = await settings.get(provider.base_url_setting) or provider.base_url
    if base_url is None:
        missing.append(provider.base_url_setting)
    else:
        base_url = base_url.replace("{region}", region or "")
    key = provider.key_setting or provider.optional_key or setting(provider.name, "API_KEY")
    has_key = await settings.get(key) is not None
    if provider.key_setting is not None and not has_key:
        missing.append(provider.key_setting)
    if provider.credentials and not has_key and await _first(provider.credentials, settings) is None:
        missing.append(f"{key} or {provider.credentials[0]}")
    secret = key if has_key or provider.key_setting else None
    version = await settings.get(provider.version_setting) if provider.version_setting else None
    return Endpoint(provider.name, base_url or "", secret, tuple(missing), region, version)


async def _first(names: Iterable[str], settings: Secrets) -> str | None:
    for name in names:
        value = await settings.get(name)
        if value is not None:
            return value
    return None
