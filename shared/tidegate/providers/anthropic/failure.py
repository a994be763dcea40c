"""Anthropic's error replies as `UpstreamError`: the common classification, and Anthropic's own error messages.

Source: https://platform.claude.com/docs/en/api/errors, and bodies recorded up to 2026-08.
"""

import re

from tidegate import errors
from tidegate.json import Json
from tidegate.providers.base import Headers
from tidegate.providers.openai import failure

_CONTEXT = re.compile(r"exceed(s|ed)? (the )?(context limit|context window)|prompt is too long", re.I)
_POLICY = re.compile(r"blocked by content filtering|usage policy", re.I)
_CLASS_BY_MESSAGE = ((_CONTEXT, errors.ContextLengthExceeded), (_POLICY, errors.ContentPolicyViolation))
_ACCOUNT_MESSAGE = re.compile(r"credit balance is too low|usage limits|organization has been disabled", re.I)


def from_reply(status: int, headers: Headers, body: Json | str) -> errors.UpstreamError:
    """Return the error for a failed reply, or for an error event of a stream (with status 200)."""
    error = failure.from_reply("anthropic", status, headers, body)
    if error.native_code == "timeout_error":
        return _as_class(errors.ProviderTimeout, error)
    if type(error) is not errors.ProviderBadRequest:
        return error
    if _ACCOUNT_MESSAGE.search(error.message):  # a problem of the gateway's account, which the caller cannot fix
        error.message = f"anthropic refused the gateway's credentials or account (HTTP {error.upstream_status})."
        return _as_class(errors.ProviderAuth, error)
    matches = (error_class for pattern, error_class in _CLASS_BY_MESSAGE if pattern.search(error.message))
    error_class = next(matches, None)
    return error if error_class is None else _as_class(error_class, error)


def _as_class(error_class: type[errors.UpstreamError], error: errors.UpstreamError) -> errors.UpstreamError:
    return error_class(
        error.message,
        retry_after_seconds=error.retry_after_seconds,
        upstream_status=error.upstream_status,
        native_code=error.native_code,
    )
