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
    region = await _first(provider.region_settings, settings)
    base_url, missing = await _base_url(provider, region, settings)
    secret, without = await _secret(provider, settings)
    version = await _first((provider.version_setting,), settings) if provider.version_setting else None
    return Endpoint(provider.name, base_url, secret, (*missing, *without), region, version)


async def _base_url(provider: Known, region: str | None, settings: Secrets) -> tuple[str, list[str]]:
    """The base URL, and what it still needs."""
    chosen = await settings.get(provider.base_url_setting)
    if chosen is not None:  # a signature names its region, whatever the URL
        unsigned = provider.credentials and region is None
        return chosen, [" or ".join(provider.region_settings)] if unsigned else []
    if provider.base_url is None:
        return "", [provider.base_url_setting]
    project = await _first(provider.project_settings, settings)
    needed = ((provider.project_settings, project), (provider.region_settings, region))
    missing = [" or ".join(names) for names, value in needed if names and value is None]
    host = provider.host_of(region) if provider.host_of and region else ""
    url = provider.base_url.replace("{host}", host).replace("{region}", region or "")
    return url.replace("{project}", project or ""), missing


async def _secret(provider: Known, settings: Secrets) -> tuple[str | None, list[str]]:
    """The name of the key that is sent, None where none is, and what is missing for it."""
    key = provider.key_setting or provider.optional_key or setting(provider.name, "API_KEY")
    if await _first((key, *provider.token_settings), settings) is not None:
        return key, []
    if provider.key_setting is not None:
        return key, [" or ".join((key, *provider.token_settings))]
    if provider.credentials and await _first(provider.credentials, settings) is None:
        return None, [f"{key} or {provider.credentials[0]}"]
    return None, []


async def _first(names: Iterable[str], settings: Secrets) -> str | None:
    for name in names:
        value = await settings.get(name)
        if value is not None:
            return value
    return None
