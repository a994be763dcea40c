"""The transports by name, each imported only where it is used.

httpx alone would cost 80 ms of a cold start, aiohttp 120.
"""

import importlib

from tidegate.errors import ConfigurationError
from tidegate.upstream.transport import Transport

_TRANSPORTS = {
    "pyreqwest": ("tidegate.upstream.reqwest", "ReqwestTransport"),
    "aiohttp": ("tidegate.upstream.aiohttp", "AiohttpTransport"),
    "httpx": ("tidegate.upstream.httpx", "HttpxTransport"),
}


def transport(name: str) -> Transport:
    """A new transport, which the caller closes. Raises `ConfigurationError` when its library is not installed."""
    module, attribute = _TRANSPORTS[name]
    try:
        return getattr(importlib.import_module(module), attribute)()
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"TIDEGATE_TRANSPORT={name} needs the package {error.name!r}.") from None
