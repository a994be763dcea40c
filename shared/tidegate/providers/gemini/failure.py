"""Google's error replies as `UpstreamError`: a `google.rpc.Status`, in a list for a stream without `alt=sse`.

Sources: https://cloud.google.com/apis/design/errors, https://ai.google.dev/gemini-api/docs/troubleshooting, and
recorded bodies: an invalid key is a 400, and the retry delay is in `details`.
"""

from msgspec import Struct

from tidegate.errors import ProviderAuth, ProviderBadRequest, ProviderFailed, UpstreamError
from tidegate.json import Json, JsonObject
from tidegate.providers.base import Headers
from tidegate.providers.openai import failure
from tidegate.providers.openai.retry_after import parse_duration

_HTTP_STATUS_BY_RPC_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 502,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_AUTH_REASONS = frozenset(
    {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED"}
    | {"API_KEY_IP_ADDRESS_BLOCKED", "ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "CREDENTIALS_MISSING"}
    | {"SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_INVALID", "IAM_PERMISSION_DENIED"}
)


class _RpcStatus(Struct, frozen=True):
    status: str | None = None
    code: int | None = None
    reasons: frozenset[str] = frozenset()
    field: str | None = None
    delay_seconds: float | None = None


def from_reply(provider: str, status: int, headers: Headers, body: Json | str) -> UpstreamError:
    """Return the error for a reply outside 2xx, or for an error inside a 200."""
    rpc_status = _parse_rpc_status(body)
    if 200 <= status < 300:
        status = rpc_status.code or _HTTP_STATUS_BY_RPC_STATUS.get(rpc_status.status or "", 502)
    if status == 499:  # cancelled by Google
        status = 502
    error = failure.from_reply(provider, status, headers, body)
    if rpc_status.reasons & _AUTH_REASONS and not isinstance(error, ProviderAuth):
        error = ProviderAuth(f"{provider} refused the gateway's credentials or account (HTTP {status}).")
        error.upstream_status = status
    if type(error) is ProviderBadRequest and rpc_status.status in ("INTERNAL", "UNKNOWN"):
        error = ProviderFailed(error.message, upstream_status=status)
    error.native_code = rpc_status.status or error.native_code
    if rpc_status.delay_seconds is not None:
        error.retry_after_seconds = rpc_status.delay_seconds
    if isinstance(error, ProviderBadRequest) and rpc_status.field:
        error.param = rpc_status.field
    return error


def is_error(body: Json) -> bool:
    match body:
        case {"error": dict() | str()} | [{"error": dict() | str()}, *_]:
            return True
        case _:
            return False


def _parse_rpc_status(body: Json | str) -> _RpcStatus:
    match body:
        case [{"error": dict(error)}, *_] | {"error": dict(error)}:
            pass
        case _:
            return _RpcStatus()
    status, code, raw_details = error.get("status"), error.get("code"), error.get("details")
    details = [detail for detail in raw_details if isinstance(detail, dict)] if isinstance(raw_details, list) else []
    return _RpcStatus(
        status=status if isinstance(status, str) else None,
        code=code if isinstance(code, int) and 300 <= code < 600 else None,
        reasons=frozenset(reason for detail in details if isinstance(reason := detail.get("reason"), str)),
        field=next(filter(None, map(_violated_field, details)), None),
        delay_seconds=next((delay for delay in map(_retry_delay_seconds, details) if delay is not None), None),
    )


def _violated_field(detail: JsonObject) -> str | None:
    match detail:
        case {"fieldViolations": [{"field": str(field)}, *_]}:
            return field
        case _:
            return None


def _retry_delay_seconds(detail: JsonObject) -> float | None:
    match detail:
        case {"retryDelay": str(text)}:
            return parse_duration(text)
        case _:
            return None
