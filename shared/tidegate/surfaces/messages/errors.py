"""Errors in the envelope of the Messages API, with its statuses.

The error of a provider that speaks this dialect goes out as it is: clients know by its words how to repair a request.
Errors of the gateway itself name it: a person reads them in a terminal, and must know whom to ask. A prompt that is too
long for its model is said in Anthropic's words, by which Claude Code knows that it must compact the conversation.

Source: https://platform.claude.com/docs/en/api/errors (2026-11).
"""

import re

from tidegate.errors import (
    ContextLengthExceeded,
    GuardrailViolation,
    InvalidRequest,
    ProviderOverloaded,
    TidegateError,
    UpstreamError,
)
from tidegate.json import JsonObject, decode_or_none, encode

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_INDEX = re.compile(r"\[(\d+)\]")
_TOO_LONG = "prompt is too long"
_TOO_LONG_WORDS = (_TOO_LONG, "exceed context limit")
"""Anthropic's words for a request that its model's context cannot hold. The second are about `max_tokens`."""
_LIMITS = (
    re.compile(
        r"maximum context length is (?P<limit>\d+) tokens.{0,80}\((?P<prompt>\d+) in the messages, "
        r"(?P<answer>\d+) in the completion\)"
    ),
    re.compile(
        r"too large: (?P<answer>\d+)\. This model's maximum context length is (?P<limit>\d+) tokens "
        r"and your request has (?P<prompt>\d+) input tokens"
    ),
    re.compile(
        r"maximum context length is (?P<limit>\d+) tokens.{0,40}"
        r"\b(?:resulted in|request has) (?P<prompt>\d+) (?:input )?tokens(?P<answer>)"
    ),
)
"""OpenAI's words and vLLM's for a request that is too long, with what they count (2026-11)."""

_OVERLOADED = 529
_MIN_ERROR_STATUS = 400


def status(error: TidegateError) -> int:
    """Return the HTTP status of an error reply: the provider's own, if its body goes out."""
    if isinstance(error, UpstreamError):
        if _native_body(error) is not None and (error.upstream_status or 0) >= _MIN_ERROR_STATUS:
            return error.upstream_status or error.status
        if isinstance(error, ProviderOverloaded):
            return _OVERLOADED
    return error.status


def _native_body(error: TidegateError) -> str | None:
    """Return the provider's own error if it is in Anthropic's envelope: what stands in front of it may have others."""
    body = error.native_body if isinstance(error, UpstreamError) else None
    match decode_or_none(body) if body else None:
        case {"type": "error", "error": {"type": str(), "message": str(message)}} if message:
            return body
        case _:
            return None


def error_bytes(error: TidegateError) -> bytes:
    """Return the body of an error reply, and the data of an error event."""
    native_body = _native_body(error)
    if native_body is not None and not _lacks_words(error, native_body):
        return native_body.encode()
    return encode(error_body(error))


def error_body(error: TidegateError) -> JsonObject:
    """Return the error in Anthropic's envelope."""
    code = status(error)
    kind = _TYPES.get(code, "invalid_request_error" if code < 500 else "api_error")
    body: JsonObject = {"type": "error", "error": {"type": kind, "message": _message(error)}}
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return body


def refusal(path: str, reason: str) -> InvalidRequest:
    """Return the error for a field that is not valid, with Anthropic's spelling of its path: `messages.0.role`."""
    shown = _INDEX.sub(r".\1", path)
    return InvalidRequest(f"{shown}: {reason}", param=path)


def _message(error: TidegateError) -> str:
    if _lacks_words(error, error.message):
        return _in_anthropics_words(error.message)
    is_callers = isinstance(error, InvalidRequest) and not isinstance(error, GuardrailViolation)
    if is_callers or isinstance(error, UpstreamError) or error.message.startswith("Tidegate"):
        return error.message
    return f"Tidegate: {error.message}"


def _lacks_words(error: TidegateError, text: str) -> bool:
    """True for the error of a prompt that is too long, if Anthropic would not say it so."""
    return isinstance(error, ContextLengthExceeded) and not any(words in text.lower() for words in _TOO_LONG_WORDS)


def _in_anthropics_words(message: str) -> str:
    """Return the message about a prompt that is too long with the counts in it, as Claude Code reads them.

    If the prompt alone fits, Claude Code asks again for a shorter answer; otherwise it compacts the conversation.
    """
    counts = next((found for pattern in _LIMITS if (found := pattern.search(message))), None)
    if counts is None:
        return f"{_TOO_LONG}: {message}"
    prompt, answer, limit = counts["prompt"], counts["answer"], counts["limit"]
    if answer and int(prompt) < int(limit):
        return f"input length and `max_tokens` exceed context limit: {prompt} + {answer} > {limit} ({message})"
    return f"{_TOO_LONG}: {prompt} tokens > {limit} maximum ({message})"
