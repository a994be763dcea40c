"""Bedrock's errors as `UpstreamError`: from a reply outside 2xx, or from an exception inside a stream.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors,
…/APIReference/CommonErrors.html, …/userguide/troubleshooting-api-error-codes.html (2026), and recorded refusals.
"""

import re
from collections.abc import Mapping

from tidegate import errors
from tidegate.json import Json
from tidegate.providers.openai.error_body import scrub
from tidegate.providers.openai.retry_after import header_delay_seconds, retry_delay_seconds

_AUTH_CODES = (
    *("accessdeniedexception", "unrecognizedclientexception", "expiredtokenexception", "expiredtoken"),
    *("invalidsignatureexception", "incompletesignatureexception", "incompletesignature", "signaturedoesnotmatch"),
    *("invalidclienttokenid", "missingauthenticationtokenexception", "missingauthenticationtoken"),
    *("optinrequired", "notauthorized"),
)
_CLASS_BY_CODE: dict[str, type[errors.UpstreamError]] = {
    "validationexception": errors.ProviderBadRequest,
    "throttlingexception": errors.ProviderRateLimited,
    "servicequotaexceededexception": errors.ProviderRateLimited,
    "toomanyrequestsexception": errors.ProviderRateLimited,
    "limitexceededexception": errors.ProviderRateLimited,
    "modelnotreadyexception": errors.ProviderOverloaded,
    "serviceunavailableexception": errors.ProviderOverloaded,
    "modeltimeoutexception": errors.ProviderTimeout,
    "resourcenotfoundexception": errors.ProviderModelNotFound,
    "modelerrorexception": errors.ProviderFailed,
    "modelstreamerrorexception": errors.ProviderFailed,
    "internalserverexception": errors.ProviderFailed,
    **dict.fromkeys(_AUTH_CODES, errors.ProviderAuth),
}
_CLASS_BY_STATUS: dict[int, type[errors.UpstreamError]] = {
    401: errors.ProviderAuth,
    403: errors.ProviderAuth,
    404: errors.ProviderModelNotFound,
    408: errors.ProviderTimeout,
    424: errors.ProviderFailed,
    429: errors.ProviderRateLimited,
    503: errors.ProviderOverloaded,
    504: errors.ProviderTimeout,
    529: errors.ProviderOverloaded,
}
_CONTEXT_MESSAGE = re.compile(
    r"input tokens exceeded|input is too long|prompt is too long|too many input tokens|context (length|window)"
    r"|(number of|max(imum)?) (input )?tokens .{0,40}exceeds?|exceeds? .{0,40}max(imum)? .{0,20}(tokens|length)",
    re.I,
)
_NO_MODEL = re.compile(
    r"model identifier is invalid|model .{0,160}(not found|does not exist|end of its life|no longer available)"
    r"|on-demand throughput isn.t supported",
    re.I,
)
_POLICY_MESSAGE = re.compile(r"content filter|content policy|blocked by .{0,30}(filter|polic|guardrail)", re.I)
_OVERLOAD_MESSAGE = re.compile(r"overloaded|at capacity|high demand|unable to process your request at this time", re.I)
_ACCOUNT_ID = re.compile(r"arn:aws[\w-]*:[^\s'\",)]+|(?<!\d)\d{12}(?!\d)")


def from_reply(status: int, headers: Mapping[str, str], body: Json | str) -> errors.UpstreamError:
    """Return the error for a reply outside 2xx, or for a reply inside 2xx that is not a completion."""
    code = headers.get("x-amzn-errortype") or _first_text(body, "__type", "code", "Code")
    return _build_error(status, _short_code(code), _first_text(body, "message", "Message"), headers)


def from_event(code: str, body: Json) -> errors.UpstreamError:
    """Return the error for an exception inside a stream. `code` is its type; a model's error has its own status."""
    message = _first_text(body, "message", "Message")
    match body:
        case {"originalStatusCode": int(status), **rest}:
            original = rest.get("originalMessage")
            return _build_error(status, code, original if isinstance(original, str) and original else message, {})
        case _:
            return _build_error(200, code, message, {})


def _build_error(status: int, code: str, message: str, headers: Mapping[str, str]) -> errors.UpstreamError:
    error_class = _error_class(status, code, message)
    if error_class is errors.ProviderAuth:  # AWS's message may quote the signed request
        text = f"bedrock refused the gateway's credentials or their access to this model ({code or f'HTTP {status}'})."
    else:
        text = scrub(_ACCOUNT_ID.sub("[redacted]", message)) or f"bedrock failed ({code or f'HTTP {status}'})."
    seconds = header_delay_seconds(headers) if error_class.retryable else None
    if issubclass(error_class, errors.ProviderRateLimited | errors.ProviderOverloaded):
        seconds = retry_delay_seconds(headers, message)
    upstream_status = status if status >= 300 else None
    return error_class(text, retry_after_seconds=seconds, upstream_status=upstream_status, native_code=code or None)


def _error_class(status: int, code: str, message: str) -> type[errors.UpstreamError]:
    error_class = _CLASS_BY_CODE.get(code.lower())
    if error_class is None or (error_class is errors.ProviderFailed and status in (408, 429, 503, 529)):
        error_class = _CLASS_BY_STATUS.get(
            status, errors.ProviderBadRequest if 400 <= status < 500 else errors.ProviderFailed
        )
    if error_class is errors.ProviderBadRequest or error_class is errors.ProviderFailed:
        return _class_by_message(error_class, message)
    return error_class


def _class_by_message(error_class: type[errors.UpstreamError], message: str) -> type[errors.UpstreamError]:
    if _CONTEXT_MESSAGE.search(message):
        return errors.ContextLengthExceeded
    if _POLICY_MESSAGE.search(message):
        return errors.ContentPolicyViolation
    if error_class is errors.ProviderBadRequest and _NO_MODEL.search(message):
        return errors.ProviderModelNotFound
    is_overload = error_class is errors.ProviderFailed and _OVERLOAD_MESSAGE.search(message)
    return errors.ProviderOverloaded if is_overload else error_class


def _short_code(code: str) -> str:
    """Return `ValidationException` for `ValidationException:http://…` and `com.amazon…#ValidationException`."""
    return code.partition(":")[0].rpartition("#")[2].strip()


def _first_text(body: Json | str, *names: str) -> str:
    match body:
        case str(text):
            return " ".join(text.split())[:300] if "message" in names and "<" not in text else ""
        case dict():
            return next((value for name in names if isinstance(value := body.get(name), str) and value), "")
        case _:
            return ""
