"""Bedrock's failures, classified: from a reply outside 2xx, or from an exception inside a stream.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors,
…/APIReference/CommonErrors.html, …/userguide/troubleshooting-api-error-codes.html (2026), and recorded refusals.
"""

import re
from collections.abc import Mapping

from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    UpstreamError,
)
from tidegate.json import Json
from tidegate.providers.openai.error_body import scrub
from tidegate.providers.openai.retry_after import delay, header

_KINDS: dict[str, type[UpstreamError]] = {
    "validationexception": ProviderBadRequest,
    "throttlingexception": ProviderRateLimited,
    "servicequotaexceededexception": ProviderRateLimited,
    "toomanyrequestsexception": ProviderRateLimited,
    "limitexceededexception": ProviderRateLimited,
    "modelnotreadyexception": ProviderOverloaded,
    "serviceunavailableexception": ProviderOverloaded,
    "modeltimeoutexception": ProviderTimeout,
    "resourcenotfoundexception": ProviderModelNotFound,
    "modelerrorexception": ProviderFailed,
    "modelstreamerrorexception": ProviderFailed,
    "internalserverexception": ProviderFailed,
    "accessdeniedexception": ProviderAuth,
    "unrecognizedclientexception": ProviderAuth,
    "expiredtokenexception": ProviderAuth,
    "expiredtoken": ProviderAuth,
    "invalidsignatureexception": ProviderAuth,
    "incompletesignatureexception": ProviderAuth,
    "incompletesignature": ProviderAuth,
    "signaturedoesnotmatch": ProviderAuth,
    "invalidclienttokenid": ProviderAuth,
    "missingauthenticationtokenexception": ProviderAuth,
    "missingauthenticationtoken": ProviderAuth,
    "optinrequired": ProviderAuth,
    "notauthorized": ProviderAuth,
}
_STATUSES: dict[int, type[UpstreamError]] = {
    401: ProviderAuth,
    403: ProviderAuth,
    404: ProviderModelNotFound,
    408: ProviderTimeout,
    424: ProviderFailed,
    429: ProviderRateLimited,
    503: ProviderOverloaded,
    504: ProviderTimeout,
    529: ProviderOverloaded,
}
_CONTEXT = re.compile(
    r"input tokens exceeded|input is too long|prompt is too long|too many input tokens|context (length|window)"
    r"|(number of|max(imum)?) (input )?tokens .{0,40}exceeds?|exceeds? .{0,40}max(imum)? .{0,20}(tokens|length)",
    re.I,
)
_MODEL = re.compile(r"model identifier is invalid|model .{0,80}(not found|does not exist|end of its life)", re.I)
_POLICY = re.compile(r"content filter|content policy|blocked by .{0,30}(filter|polic|guardrail)", re.I)
_BUSY = re.compile(r"overloaded|at capacity|high demand|unable to process your request at this time", re.I)
_ACCOUNT = re.compile(r"arn:aws[\w-]*:[^\s'\",)]+|(?<!\d)\d{12}(?!\d)")


def from_reply(status: int, headers: Mapping[str, str], body: Json | str) -> UpstreamError:
    """The error that a reply outside 2xx stands for, or one inside 2xx that is no completion."""
    code = headers.get("x-amzn-errortype") or _text(body, "__type", "code", "Code")
    return _error(status, _bare(code), _text(body, "message", "Message"), headers)


def from_event(code: str, body: Json) -> UpstreamError:
    """The error that a message of a stream stands for; a model's own has the status that it was behind."""
    message = _text(body, "message", "Message")
    match body:
        case {"originalStatusCode": int(status), **rest}:
            said = rest.get("originalMessage")
            return _error(status, code, said if isinstance(said, str) and said else message, {})
        case _:
            return _error(200, code, message, {})


def _error(status: int, code: str, message: str, headers: Mapping[str, str]) -> UpstreamError:
    kind = _kind(status, code, message)
    if kind is ProviderAuth:  # AWS's own words may repeat what was signed
        said = f"bedrock refused the gateway's credentials, or their right to this model ({code or f'HTTP {status}'})."
    else:
        said = scrub(_ACCOUNT.sub("[redacted]", message)) or f"bedrock failed ({code or f'HTTP {status}'})."
    is_limit = issubclass(kind, ProviderRateLimited | ProviderOverloaded)
    wait = delay(headers, message) if is_limit else header(headers) if kind.retryable else None
    upstream_status = status if status >= 300 else None
    return kind(said, retry_after_seconds=wait, upstream_status=upstream_status, native_code=code or None)


def _kind(status: int, code: str, message: str) -> type[UpstreamError]:
    kind = _KINDS.get(code.lower())
    if kind is None or (kind is ProviderFailed and status in (408, 429, 503, 529)):
        kind = _STATUSES.get(status, ProviderBadRequest if 400 <= status < 500 else ProviderFailed)
    if kind is ProviderBadRequest or kind is ProviderFailed:
        return _of_words(kind, message)
    return kind


def _of_words(kind: type[UpstreamError], message: str) -> type[UpstreamError]:
    if _CONTEXT.search(message):
        return ContextLengthExceeded
    if _POLICY.search(message):
        return ContentPolicyViolation
    if kind is ProviderBadRequest and _MODEL.search(message):
        return ProviderModelNotFound
    return ProviderOverloaded if kind is ProviderFailed and _BUSY.search(message) else kind


def _bare(code: str) -> str:
    """`ValidationException` out of `ValidationException:http://…` and `com.amazon…#ValidationException`."""
    return code.partition(":")[0].rpartition("#")[2].strip()


def _text(body: Json | str, *names: str) -> str:
    match body:
        case str(text):
            return " ".join(text.split())[:300] if "message" in names and "<" not in text else ""
        case dict():
            return next((value for name in names if isinstance(value := body.get(name), str) and value), "")
        case _:
            return ""
