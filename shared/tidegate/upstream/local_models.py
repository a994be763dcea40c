"""The models of providers on this machine (Ollama, vLLM, LM Studio, llama.cpp), as each lists them at `/models`.

Source: https://platform.openai.com/docs/api-reference/models/list (2026).

Only providers at this machine's own addresses are asked. So nothing is asked on Lambda, and a list of models never
waits for a network.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import DecodeError, Struct

from tidegate.domain.deployment import ProviderConfig
from tidegate.domain.timed_cache import TimedCache
from tidegate.errors import TidegateError
from tidegate.json import Json, decode
from tidegate.transport.base import HttpRequest, Timeouts
from tidegate.upstream.attempt import Upstream

TIMEOUTS = Timeouts(total=1.0, connect=0.5)
CACHE_SECONDS = 60.0
EMPTY_SECONDS = 5.0
"""A server that has just been started appears after this time."""

MAX_BYTES = 1024 * 1024
MAX_MODELS = 500
MAX_NAME = 256

_HOST_NAMES = frozenset({"localhost", "host.docker.internal"})


class LocalModel(Struct, frozen=True):
    """A model as its server lists it."""

    provider: str
    name: str
    created: int


_cache = TimedCache[tuple[str, str], tuple[LocalModel, ...]](64)


async def list_local_models(upstream: Upstream, configs: Iterable[ProviderConfig]) -> list[LocalModel]:
    """Return the models of the local providers among `configs`, sorted; a provider that does not answer has none.

    A list is cached for a minute.
    """
    local = [config for config in configs if is_local(config.base_url)]
    found = await asyncio.gather(*(_models_of(upstream, config) for config in local))
    return sorted((model for models in found for model in models), key=lambda model: (model.provider, model.name))


def is_local(base_url: str) -> bool:
    """True if the URL's host is this machine."""
    try:
        host = urlsplit(base_url).hostname or ""
        return host in _HOST_NAMES or ip_address(host).is_loopback
    except ValueError:
        return False


async def _models_of(upstream: Upstream, config: ProviderConfig) -> tuple[LocalModel, ...]:
    key = (config.provider, config.base_url)
    entry = _cache.find(key, CACHE_SECONDS)
    if entry is not None and (entry.value or _cache.find(key, EMPTY_SECONDS)):
        return entry.value
    read_at = _cache.now()
    models = await _ask(upstream, config)
    _cache.put(key, models, read_at)
    return models


async def _ask(upstream: Upstream, config: ProviderConfig) -> tuple[LocalModel, ...]:
    try:
        secret = await upstream.secrets.get(config.secret) if config.secret else None
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {secret}"} if secret else {})
        request = HttpRequest("GET", f"{config.base_url.rstrip('/')}/models", headers, b"")
        async with upstream.transport.open(request, TIMEOUTS) as response:
            body = decode(await response.read(MAX_BYTES))
    except (TidegateError, DecodeError, UnicodeDecodeError):
        return ()
    match body:
        case {"data": list(entries)}:
            models = (_parse_model(config.provider, entry) for entry in entries[:MAX_MODELS])
            return tuple(model for model in models if model is not None)
        case _:
            return ()


def _parse_model(provider: str, entry: Json) -> LocalModel | None:
    match entry:
        case {"id": str(name)} if 0 < len(name) <= MAX_NAME and name.isprintable():
            created = entry.get("created")
            return LocalModel(provider, name, created if isinstance(created, int) and created > 0 else 0)
        case _:
            return None
