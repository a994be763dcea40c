"""Which of the known providers the operator has configured."""

from collections.abc import Callable, Iterable
from functools import partial

from tidegate.domain.deployment import Endpoint
from tidegate.ports import Secrets
from tidegate.providers import Known
from tidegate.providers.registry import setting


async def endpoints(known: Iterable[Known], settings: Secrets) -> dict[str, Endpoint]:
    """Every provider by name, with what is still missing. Base URLs are looked up where the keys are."""
    return {provider.name: await _endpoint(provider, settings) for provider in known}


async def _endpoint(provider: Known, settings: Secrets) -> Endpoint:
    region = await _first(provider.region_settings, settings)
    chosen = await settings.get(provider.base_url_setting)
    url_in, missing = await _located(provider, chosen, settings)
    # A URL that was chosen is the same everywhere; a signature names its region all the same.
    placed = region is not None or not provider.region_settings or (chosen is not None and not provider.credentials)
    nowhere = () if placed else (" or ".join(provider.region_settings),)
    secret, without = await _secret(provider, settings)
    version = await _first((provider.version_setting,), settings) if provider.version_setting else None
    return Endpoint(
        provider.name,
        url_in(region or ""),
        secret,
        (*missing, *nowhere, *without),
        region,
        version,
        without_key=tuple(without),
        without_region=nowhere,
        url_in=url_in if provider.region_settings else None,
    )


async def _located(provider: Known, chosen: str | None, settings: Secrets) -> tuple[Callable[[str], str], list[str]]:
    """The base URL in each region, and what it still needs besides."""
    if chosen is not None:
        return partial(_anywhere, chosen), []
    if provider.base_url is None:
        return partial(_anywhere, ""), [provider.base_url_setting]
    project = await _first(provider.project_settings, settings)
    missing = [" or ".join(provider.project_settings)] if provider.project_settings and project is None else []
    return partial(_in_region, provider.base_url.replace("{project}", project or ""), provider.host_of), missing


def _anywhere(url: str, region: str) -> str:
    return url


def _in_region(url: str, host_of: Callable[[str], str] | None, region: str) -> str:
    host = host_of(region) if host_of and region else ""
    return url.replace("{host}", host).replace("{region}", region)


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
