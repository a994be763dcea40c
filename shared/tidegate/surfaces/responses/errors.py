"""Errors: as replies in OpenAI's envelope, and inside a stream with the codes that clients read.

Codex gives up at some codes and sends the whole request again at all others, up to five times, so that a failure that
stays gets a code of the first kind.

Sources: https://platform.openai.com/docs/api-reference/responses-streaming (`error`, `response.failed`), and
https://github.com/openai/codex (codex-api/src/sse/responses.rs), 2026-11.
"""

from tidegate.errors import ContextLengthExceeded, QuotaExhausted, TidegateError, UpstreamError
from tidegate.json import JsonObject, decode_or_none
from tidegate.surfaces.openai import OPENAI

_MIN_ERROR_STATUS = 400


def status(error: TidegateError) -> int:
    """Return the HTTP status of an error reply: the provider's own, if its body goes out."""
    own = error.upstream_status if isinstance(error, UpstreamError) and _native_body(error) is not None else None
    return own if own is not None and own >= _MIN_ERROR_STATUS else error.status


def error_bytes(error: TidegateError) -> bytes:
    """Return the body of an error reply: that of a provider which speaks this dialect as it is."""
    native_body = _native_body(error)
    return OPENAI.error(error) if native_body is None else native_body.encode()


def _native_body(error: TidegateError) -> str | None:
    """Return the provider's own error if a client can read it."""
    body = error.native_body if isinstance(error, UpstreamError) else None
    match decode_or_none(body) if body else None:
        case {"error": {"message": str(message)}} if message:
            return body
        case _:
            return None


def failure(error: TidegateError) -> JsonObject:
    """Return the error of a failed response."""
    message = error.message
    if error.status == 429 and error.retry_after_seconds is not None:
        message = f"{message} Please try again in {error.retry_after_seconds:.3g}s."
    return {"code": _code(error), "message": message}


def error_event(error: TidegateError) -> JsonObject:
    """Return the fields of an error event: flat as documented, and nested, where SDKs look for it."""
    fields: JsonObject = {"code": error.code, "message": error.message, "param": error.param}
    return {**fields, "error": {"type": error.type, **fields}}


def _code(error: TidegateError) -> str:
    if isinstance(error, ContextLengthExceeded):
        return "context_length_exceeded"
    if isinstance(error, QuotaExhausted):
        return "insufficient_quota"
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if error.status < 500 else "server_error"
