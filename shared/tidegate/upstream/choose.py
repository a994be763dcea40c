"""What is imported only where it is needed: the transports by name, Google's tokens, and those of callers.

httpx alone would cost 80 ms of a cold start, aiohttp 120.
"""

import importlib

from tidegate.domain.identity import Issuer
from tidegate.errors import ConfigurationError
from tidegate.ports import Secrets, Tokens
from tidegate.upstream.sigv4 import AwsKeys
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


def google_secrets(secrets: Secrets, transport: Transport, aws_keys: AwsKeys | None, region: str) -> Secrets:
    """`secrets`, in which the key of Vertex AI is always a token that is good."""
    google = importlib.import_module("tidegate.upstream.google")
    return google.GoogleSecrets(secrets, transport, google.Aws(aws_keys, region) if aws_keys else None)


def access_tokens(issuer: Issuer | None, transport: Transport) -> Tokens | None:
    """What verifies the issuer's access tokens; None where no issuer is configured."""
    if issuer is None:
        return None
    return importlib.import_module("tidegate.upstream.oidc").OidcTokens(issuer, transport)
