"""Classifies a provider's failure: a reply outside 2xx, or an error inside a 200 or a stream.

Sources: bodies recorded from each provider up to 2026-07; https://platform.openai.com/docs/guides/error-codes;
https://openrouter.ai/docs/api-reference/errors; https://console.groq.com/docs/errors; https://docs.x.ai/docs/key-information/debugging
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from tidegate import errors
from tidegate.json import Json, JsonObject
from tidegate.lazy import late_pattern, load
from tidegate.providers.openai.error_body import ErrorBody, parse_error_body, scrub

_RETRY_AFTER = "tidegate.providers.openai.retry_after"

_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "too_many_prompt_tokens", "too_many_tokens", "exceed_context_size_error"}
    | {"string_above_max_length", "1261"}  # 1261 is Z.ai's: prompt exceeds max length
)
_CONTEXT = late_pattern(
    r"maximum context length|context window|context length|max(imum)? prompt length|prompt is too long|prompt too long"
    r"|input tokens exceeded|input is too long|input token count .* exceeds|exceeds? the available context size"
    r"|too large for model|range of input length|total length of all messages is too long|prompt exceeds max"
    r"|reduce the length of (the|your) (messages|prompt|input)|`inputs` tokens \+ `max_new_tokens`"
    r"|too many tokens:",
    re.I,
)
_POLICY_CODES = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked", "responsibleaipolicyviolation"}
    | {"data_inspection_failed", "datainspectionfailed", "1301"}  # 1301 is Z.ai's: unsafe or sensitive content
)
_POLICY = late_pattern(
    r"content management policy|content policy|flagged as potentially violating|requires moderation|input was flagged"
    r"|content exists risk|violates our usage|fails? safety check|inappropriate content|sensitive content",
    re.I,
)
_INVALID_KEY = late_pattern(
    r"(incorrect|invalid|expired|revoked|missing|wrong)\b.{0,24}\bapi[ _-]?key|api[ _-]?key\b.{0,12}not valid", re.I
)
_UNKNOWN_MODEL = late_pattern(
    r"\b(model|model[ _]?(code|id|name)|deployment|engine)s?\b.{0,160}"
    r"(not found|does ?n[o']t exist|not exist|unknown|no longer|decommissioned|has been (deprecated|retired))"
    r"|\b(unknown|invalid|no such|not found the|unsupported) model\b(?! (parameter|setting|option|feature|output))"
    r"|\bnot a (valid|known) model\b|\bmodel name is invalid|\bunexpected model name format"
    r"|\bsupported (api )?model names are\b|\bunable to access model\b|模型不存在"
    r"|\bmodel is not (available|supported)\b(?! (for|with|by|in|on|when))",
    re.I | re.S,
)
"""The wordings of DeepSeek, OpenRouter, LiteLLM, Together, Perplexity, Z.ai and others: `test_unknown_models.py`."""

_MODEL_CODES = frozenset(
    {"model_not_found", "deploymentnotfound", "unknown_model", "invalid_model", "not_found_error", "invalid_model_id"}
    | {"model_not_available", "model_decommissioned", "model_deprecated", "model_not_supported", "modelnotfound"}
    | {"invalid_model_error", "invalid_model_name", "unsupported_model", "resource_not_found_error", "1211"}  # Z.ai's
)
_NO_ACCESS_CODES = frozenset({"insufficient_quota", "insufficient_balance", "invalid_api_key", "authentication_error"})
_BUSY = late_pattern(
    r"overloaded|at capacity|no capacity|temporarily unavailable|server is busy|engine.{0,20}busy", re.I
)
_BUSY_CODES = frozenset({"overloaded_error", "engine_overloaded_error", "capacity_exceeded", "service_unavailable"})
_BAD_REQUEST_CODES = frozenset({"invalid_request_error", "badrequesterror", "bad_request"})
_LIMIT_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error", "ratelimitreached"})


class FailedReply(Struct, frozen=True):
    """A failed reply. `status` is the HTTP status, or the one that an error inside a 200 implies."""

    provider: str
    status: int
    body: ErrorBody
    headers: Mapping[str, str]


def from_reply(provider: str, status: int, headers: Mapping[str, str], body: Json | str) -> errors.UpstreamError:
    """Return the error for a reply outside 2xx, or for one inside 2xx whose body is an error."""
    error_body = parse_error_body(body)
    if 200 <= status < 300:
        status = _status(error_body)
    return _error(FailedReply(provider, status, error_body, headers))


def from_event(provider: str, body: Json) -> errors.UpstreamError:
    """Return the error for an error event of a stream."""
    return from_reply(provider, 200, {}, body)


def is_error_body(body: JsonObject) -> bool:
    """True if the body of a 200 is an error."""
    if body.get("error"):
        return True
    if "choices" in body:
        return False
    return body.get("object") == "error" or body.get("type") == "error" or "detail" in body or "error_code" in body


def _status(error_body: ErrorBody) -> int:
    if error_body.status is not None and 300 <= error_body.status < 600:
        return error_body.status
    codes = error_body.codes
    if codes & _LIMIT_CODES:
        return 429
    if codes & _BUSY_CODES:
        return 503
    if codes & {"invalid_api_key", "authentication_error", "permission_error"}:
        return 401
    if codes & _MODEL_CODES:
        return 404
    if codes & (_BAD_REQUEST_CODES | _CONTEXT_CODES | _POLICY_CODES):
        return 400
    return 502


def _error(failure: FailedReply) -> errors.UpstreamError:
    error_class = _error_class(failure.status, failure.body)
    error_body = failure.body
    message = _message(error_class, failure)
    return error_class(
        message,
        param=error_body.param if issubclass(error_class, errors.ProviderBadRequest) else None,
        retry_after_seconds=_retry_after_seconds(error_class, failure),
        upstream_status=failure.status,
        native_code=error_body.code or error_body.type,
    )


def _retry_after_seconds(error_class: type[errors.UpstreamError], failure: FailedReply) -> float | None:
    """Return the seconds until a retry. Limit resets and the message count only for a rate limit or an overload."""
    if failure.status in (429, 503, 529) or error_class in (errors.ProviderRateLimited, errors.ProviderOverloaded):
        return load(_RETRY_AFTER, "retry_delay_seconds")(failure.headers, failure.body.message, failure.body.metadata)
    is_worth_a_wait = error_class.retryable or failure.status == 409
    return load(_RETRY_AFTER, "header_delay_seconds")(failure.headers) if is_worth_a_wait else None


def _message(error_class: type[errors.UpstreamError], failure: FailedReply) -> str:
    if error_class is errors.ProviderAuth:  # the provider's own message may contain a part of the key
        return f"{failure.provider} refused the gateway's credentials or account (HTTP {failure.status})."
    if failure.body.message:
        return scrub(failure.body.message)
    return f"{failure.provider} answered with HTTP {failure.status} and no message."


def _error_class(status: int, error_body: ErrorBody) -> type[errors.UpstreamError]:
    codes, message = error_body.codes, error_body.message
    if status in (400, 403, 413, 422) or status >= 500:
        if codes & _CONTEXT_CODES or (status != 403 and _CONTEXT.search(message)):
            return errors.ContextLengthExceeded
        if codes & _POLICY_CODES or (status < 500 and _POLICY.search(message)):
            return errors.ContentPolicyViolation
    if status == 404 or (codes & _MODEL_CODES and status != 429):
        return errors.ProviderModelNotFound
    match status:
        case 401 | 402 | 403 | 407:
            return errors.ProviderAuth
        case 408 | 504 | 524:
            return errors.ProviderTimeout
        case 429:
            return errors.ProviderRateLimited
        case 498 | 503 | 529:
            return errors.ProviderOverloaded
        case _ if 400 <= status < 500:
            return _client_error_class(error_body)
        case _:
            return errors.ProviderOverloaded if codes & _BUSY_CODES or _BUSY.search(message) else errors.ProviderFailed


def _client_error_class(error_body: ErrorBody) -> type[errors.UpstreamError]:
    if error_body.codes & _NO_ACCESS_CODES or _INVALID_KEY.search(error_body.message):
        return errors.ProviderAuth
    if _UNKNOWN_MODEL.search(error_body.message) and error_body.param in (None, "model"):
        return errors.ProviderModelNotFound
    return errors.ProviderBadRequest
