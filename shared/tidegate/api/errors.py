"""Errors as replies: the only place where the error tree meets HTTP.

Source: https://platform.openai.com/docs/guides/error-codes
"""

import math
from collections.abc import Iterable, Mapping

from tidegate.api.reply import HeaderLines, header_list, header_pairs
from tidegate.domain.account import RateStatus
from tidegate.domain.surface import Surface
from tidegate.errors import ConfigurationError, LimitReached, NotConfigured, ProviderAuth, TidegateError
from tidegate.lazy import late, load
from tidegate.surfaces.late_dialects import MESSAGES, OPENROUTER
from tidegate.surfaces.openai import OPENAI

OPENROUTER_PREFIX = "/api/v1/"
"""The paths of OpenRouter's clients."""

_MESSAGES_PATHS = ("/v1/messages", "/messages", "/api/v1/messages")
_MODELS_PATHS = ("/v1/models", "/models")
"""Paths that OpenAI's API and Anthropic's both have."""

_OLLAMA_PATHS = tuple(f"/api/{name}" for name in ("chat", "generate", "embed", "tags", "show", "ps", "version", "pull"))
_OLLAMA: Surface = late("tidegate.surfaces.ollama", "OLLAMA")

_LASTING_ERRORS = (ConfigurationError, NotConfigured, ProviderAuth)
"""Errors with a status that stock SDKs retry (5xx), although a retry fails until an operator has acted."""


def headers(error: TidegateError) -> list[tuple[bytes, bytes]]:
    """Return the headers that an error adds to its reply: when to retry, the failed attempts, the rate limit."""
    headers_: list[tuple[bytes, bytes]] = []
    if error.retry_after_seconds is not None:
        headers_.append((b"retry-after", b"%d" % math.ceil(error.retry_after_seconds)))
    should_retry = False if isinstance(error, _LASTING_ERRORS) else error.should_retry
    if should_retry is not None:
        headers_.append((b"x-should-retry", b"true" if should_retry else b"false"))
    headers_ += attempt_headers(error.attempts, error.failed_attempts)
    if isinstance(error, LimitReached) and error.limit.endswith("_per_minute"):
        unit = error.limit.removesuffix("_per_minute")
        rate = RateStatus(int(error.maximum), int(error.remaining), error.retry_after_seconds or 0)
        headers_ += header_pairs(rate_limit_lines(unit, rate))
    return headers_


def attempt_headers(count: int, failed: Iterable[object]) -> list[tuple[bytes, bytes]]:
    """Return the headers with the number of attempts, and each failed one: deployment, error code and seconds."""
    headers = [(b"x-tidegate-attempts", b"%d" % count)] if count else []
    failures = list(map(str, failed))
    return [*headers, (b"x-tidegate-failed-attempts", header_list(failures, ", "))] if failures else headers


def rate_limit_lines(unit: str, rate: RateStatus) -> HeaderLines:
    """Return OpenAI's headers of a rate limit; `unit` is "requests" or "tokens".

    Source: https://platform.openai.com/docs/guides/rate-limits (rate limits in headers).
    """
    # Made as text: bytes take twice as long to format numbers.
    return (
        f"\r\nx-ratelimit-limit-{unit}: {rate.limit}\r\nx-ratelimit-remaining-{unit}: {rate.remaining}"
        f"\r\nx-ratelimit-reset-{unit}: {rate.reset_seconds:.3f}s"
    ).encode()


def internal_error() -> TidegateError:
    """Return the error that callers get for a bug of the gateway, without details."""
    return load("tidegate.domain.internal_error", "internal_error")()


def body(error: TidegateError) -> bytes:
    """Return the body of an error in OpenAI's format."""
    return OPENAI.error(error)


def surface_of(path: str, headers: Mapping[str, str]) -> Surface:
    """Return the dialect of a request to a path that is not one of calls.

    `x-api-key` is Anthropic's way to send a key, but other clients use it as well: it counts for lists of models alone.
    """
    if path.startswith(_MESSAGES_PATHS):
        return MESSAGES
    if path.startswith(OPENROUTER_PREFIX):
        return OPENROUTER
    if path.startswith(_OLLAMA_PATHS):
        return _OLLAMA
    is_anthropic = "anthropic-version" in headers or ("x-api-key" in headers and path.startswith(_MODELS_PATHS))
    return MESSAGES if is_anthropic else OPENAI
