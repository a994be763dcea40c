"""Reads the operator's settings of every provider at start-up: base URL, region, API version and key name."""

from collections.abc import Callable, Iterable
from functools import partial

from tidegate.domain.deployment import ProviderConfig
from tidegate.ports import Secrets
from tidegate.providers import ProviderSpec
from tidegate.providers.registry import setting_name


async def load_provider_configs(specs: Iterable[ProviderSpec], settings: Secrets) -> dict[str, ProviderConfig]:
    """Return the configuration of every provider by its name, with the settings that are missing."""
    return {spec.name: await _provider_config(spec, settings) for spec in specs}


async def _provider_config(spec: ProviderSpec, settings: Secrets) -> ProviderConfig:
    region = await _first_value(spec.region_settings, settings)
    chosen_url = await settings.get(spec.base_url_setting) or await _express_url(spec, settings)
    url_in_region, missing = await _base_urls(spec, chosen_url, settings)
    # A configured base URL needs no region, unless requests are signed: a signature names the region.
    is_fixed = chosen_url is not None and not spec.credential_settings
    has_region = region is not None or is_fixed or not spec.region_settings
    missing_region = () if has_region else (" or ".join(spec.region_settings),)
    secret, missing_key = await _key_name(spec, settings)
    version = await _first_value((spec.version_setting,), settings) if spec.version_setting else None
    return ProviderConfig(
        spec.name,
        url_in_region(region or ""),
        secret,
        (*missing, *missing_region, *missing_key),
        region,
        version,
        replaced_by_key=tuple(missing_key),
        replaced_by_region=missing_region,
        regional_url=url_in_region if spec.region_settings else None,
    )


async def _base_urls(
    spec: ProviderSpec, chosen_url: str | None, settings: Secrets
) -> tuple[Callable[[str], str], list[str]]:
    """Return a function from a region to the base URL, and the settings that the URL still needs."""
    if chosen_url is not None:
        return partial(_same_url, chosen_url), []
    if spec.base_url is None:
        return partial(_same_url, ""), [spec.base_url_setting]
    project = await _first_value(spec.project_settings, settings)
    missing = [" or ".join(spec.project_settings)] if spec.project_settings and project is None else []
    return partial(_regional_url, spec.base_url.replace("{project}", project or ""), spec.host_for_region), missing


async def _express_url(spec: ProviderSpec, settings: Secrets) -> str | None:
    """Return the base URL for a key that needs no project, None if there is a project, or no such key."""
    if spec.express_url is None or await _first_value(spec.project_settings, settings) is not None:
        return None
    key = await settings.get(spec.key_setting or "")
    return (
        spec.express_url if key is not None and spec.is_express_key is not None and spec.is_express_key(key) else None
    )


def _same_url(url: str, region: str) -> str:
    return url


def _regional_url(url: str, host_of: Callable[[str], str] | None, region: str) -> str:
    host = host_of(region) if host_of and region else ""
    return url.replace("{host}", host).replace("{region}", region)


async def _key_name(spec: ProviderSpec, settings: Secrets) -> tuple[str | None, list[str]]:
    """Return the name of the setting with the key, None if no key is sent, and the settings that are missing."""
    key = spec.key_setting or spec.optional_key_setting or setting_name(spec.name, "API_KEY")
    if await _first_value((key, *spec.token_settings), settings) is not None:
        return key, []
    if spec.key_setting is not None:
        return key, [" or ".join((key, *spec.token_settings))]
    if spec.credential_settings and await _first_value(spec.credential_settings, settings) is None:
        return None, [f"{key} or {spec.credential_settings[0]}"]
    return None, []


async def _first_value(names: Iterable[str], settings: Secrets) -> str | None:
    for name in names:
        value = await settings.get(name)
        if value is not None:
            return value
    return None
