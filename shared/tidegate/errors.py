"""Every error that can end a call, as one tree. Only `api/errors.py` turns an error into an HTTP response.

TidegateError
├── InvalidRequest 400            the caller's request is wrong; `param` is the path of the field
│   ├── MissingWorkspace 400      the x-workspace-id header is required here
│   ├── OperationNotSupported 400 the model's provider does not support the endpoint's operation
│   ├── UnsupportedParameter 400  require_parameters is set, and the provider does not support a field
│   ├── UnsupportedMediaType 415  the body is not application/json
│   ├── RequestTooLarge 413       the body is larger than TIDEGATE_MAX_BODY_BYTES
│   ├── GuardrailViolation 400    a guardrail blocked the prompt or the answer; the message never quotes the text
│   ├── KeyWithoutWorkspace 400   a virtual key needs at least one workspace
│   ├── UnknownPlan 400           the plan of the workspace does not exist
│   ├── Conflict 409              the request contradicts what is stored
│   │   ├── AlreadyExists 409     another resource has this id
│   │   ├── AccountBusy 409       the change needs a new account, but calls are still running
│   │   ├── LimitBelowUsed 409    the new limit is less than what was used in this period
│   │   └── IdempotencyInFlight 409  a call with this idempotency key is still running
│   ├── IdempotencyKeyReused 422  the idempotency key was used with another body
│   ├── Stale 412                 the resource has changed since the caller read it
│   └── PreconditionRequired 428  the change needs an If-Match header with the version that it changes
├── InvalidKey 401                missing, unknown, revoked or expired: the same message for all
├── InvalidToken 401              the access token is malformed, forged, or issued for another audience
│   └── ExpiredToken 401
├── TooManyFailures 429           a wrong key or token, after many others from one network address
├── IssuerUnavailable 503         the issuer's signing keys cannot be fetched: an unverified token never passes
├── PermissionDenied 403          the credential is valid, and may not do this
│   ├── EndpointNotAllowed 403    the key may not use this path
│   ├── NetworkNotAllowed 403     the key may not be used from this network address
│   ├── WorkspaceForbidden 403    the workspace is unknown, suspended, or not the key's
│   ├── AdminForbidden 403        the admin key lacks the scope, or is limited to some workspaces
│   ├── ModelNotAllowed 403       the workspace or the key may not use this model
│   └── ModelUnpriced 403         the model has no price, and the workspace or the key has a budget in USD
├── LimitReached 429              a limit of the workspace or the key
│   ├── RateLimited 429           requests or tokens per minute, or parallel calls: retry soon
│   └── QuotaExhausted 429        a budget: a retry fails until the budget resets
├── NotFound 404                  the path or the resource does not exist
│   └── ModelNotFound 404
├── MethodNotAllowed 405
├── NotConfigured 503             the provider is known, but settings such as its key are missing
├── StoreUnavailable 503          DynamoDB does not answer: an unauthenticated call never passes
├── GuardrailUnavailable 503      a guardrail that fails closed gave no verdict in time
├── GatewayTimeout 504            the call's deadline passed before an answer arrived
│   └── DeadlinePassed 504        the deadline had passed before the call began: a retry is useless
├── ConfigurationError            at start-up: names every missing or malformed setting
└── UpstreamError                 the facts of a provider's failure; `policy/routing` decides what follows
    ├── ProviderBadRequest 400    the provider rejected the request; its message is passed on
    │   ├── ContextLengthExceeded 400
    │   └── ContentPolicyViolation 400
    ├── ProviderModelNotFound 404
    ├── ProviderAuth 502          the provider rejected its key; not 401, which would blame the caller's key
    ├── ProviderRateLimited 429
    ├── ProviderOverloaded 503
    ├── ProviderTimeout 504
    └── ProviderFailed 502
        ├── ProviderUnreachable 502   connection refused, reset before an answer, or host not found
        ├── ProviderMalformed 502     the provider's answer is not in its dialect
        └── StreamCut 502             the stream broke off before its end
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar


class TidegateError(Exception):
    """A failed call. The class fixes `status`, `type` and `code`; the instance carries `message` and `param`.

    `attempts` counts the requests that were sent to providers, and `failed_attempts` describes the failed ones for
    people to read. `usage` is the usage of a stream that broke off, as the caller sees it.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    retryable: ClassVar[bool] = False
    """True for failures of a provider that may pass without a change to the request."""

    should_retry: bool | None = None
    """Value of the header `x-should-retry`, which OpenAI's clients obey before the status; None omits the header."""

    def __init__(self, message: str, *, param: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.attempts = 0
        self.failed_attempts: tuple[str, ...] = ()
        self.usage: Mapping[str, object] | None = None
        self.request_id: str | None = None


class InvalidRequest(TidegateError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MissingWorkspace(InvalidRequest):
    code = "missing_workspace_id"


class OperationNotSupported(InvalidRequest):
    code = "operation_not_supported"


class UnsupportedParameter(InvalidRequest):
    code = "unsupported_parameter"


class UnsupportedMediaType(InvalidRequest):
    status = 415
    code = "unsupported_media_type"


class RequestTooLarge(InvalidRequest):
    status = 413
    code = "request_too_large"


class GuardrailViolation(InvalidRequest):
    code = "guardrail_violation"


class KeyWithoutWorkspace(InvalidRequest):
    code = "key_without_workspace"


class UnknownPlan(InvalidRequest):
    code = "unknown_plan"


class Conflict(InvalidRequest):
    status = 409
    code = "conflict"


class AlreadyExists(Conflict):
    code = "already_exists"


class AccountBusy(Conflict):
    code = "account_busy"


class LimitBelowUsed(Conflict):
    code = "limit_below_used"


class IdempotencyInFlight(Conflict):
    code = "idempotency_in_flight"


class IdempotencyKeyReused(InvalidRequest):
    status = 422
    code = "idempotency_key_reused"


class Stale(InvalidRequest):
    status = 412
    code = "stale"


class PreconditionRequired(InvalidRequest):
    status = 428
    code = "precondition_required"


class InvalidKey(TidegateError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class InvalidToken(TidegateError):
    status = 401
    type = "authentication_error"
    code = "invalid_token"


class ExpiredToken(InvalidToken):
    code = "expired_token"


class TooManyFailures(TidegateError):
    status = 429
    type = "rate_limit_error"
    code = "too_many_failures"
    should_retry = False


class IssuerUnavailable(TidegateError):
    status = 503
    code = "issuer_unavailable"


class PermissionDenied(TidegateError):
    status = 403
    type = "permission_error"


class EndpointNotAllowed(PermissionDenied):
    code = "endpoint_not_allowed"


class NetworkNotAllowed(PermissionDenied):
    code = "network_not_allowed"


class WorkspaceForbidden(PermissionDenied):
    code = "workspace_forbidden"


class AdminForbidden(PermissionDenied):
    code = "admin_forbidden"


class ModelNotAllowed(PermissionDenied):
    code = "model_not_allowed"


class ModelUnpriced(PermissionDenied):
    code = "model_unpriced"


class LimitReached(TidegateError):
    """`limit` names a field of `Limits`, `maximum` is its value. A call may use `remaining` now, `largest` at most."""

    status = 429

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        maximum: int | Decimal,
        remaining: int | Decimal = 0,
        largest: int | Decimal = 0,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.limit, self.maximum, self.remaining, self.largest = limit, maximum, remaining, largest


class RateLimited(LimitReached):
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class QuotaExhausted(LimitReached):
    type = "insufficient_quota"
    code = "insufficient_quota"
    should_retry = False


class NotFound(TidegateError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class MethodNotAllowed(TidegateError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class NotConfigured(TidegateError):
    status = 503
    code = "provider_not_configured"


class StoreUnavailable(TidegateError):
    status = 503
    code = "store_unavailable"


class GuardrailUnavailable(TidegateError):
    status = 503
    code = "guardrail_unavailable"


class GatewayTimeout(TidegateError):
    status = 504
    type = "timeout_error"
    code = "gateway_timeout"


class DeadlinePassed(GatewayTimeout):
    should_retry = False


class ConfigurationError(TidegateError):
    """Settings are missing or malformed; the message names all of them."""

    code = "configuration_error"


class UpstreamError(TidegateError):
    """A provider's failure. Facts only: `policy/routing/retry.py` decides whether to retry.

    `upstream_status` is the provider's HTTP status, None without a response; `native_code` its own error code or type.
    `sent_first_chunk`: the caller has part of the answer. `was_sent`: a connection was made. `native_body`: its JSON.
    """

    status = 502
    type = "upstream_error"
    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        upstream_status: int | None = None,
        native_code: str | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_seconds=retry_after_seconds)
        self.upstream_status, self.native_code = upstream_status, native_code
        self.native_body: str | None = None
        self.sent_first_chunk, self.was_sent, self.has_answered_part = False, True, False


class ProviderBadRequest(UpstreamError):
    status = 400
    type = "invalid_request_error"
    code = "provider_bad_request"


class ContextLengthExceeded(ProviderBadRequest):
    code = "context_length_exceeded"


class ContentPolicyViolation(ProviderBadRequest):
    code = "content_policy_violation"


class ProviderModelNotFound(UpstreamError):
    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class ProviderAuth(UpstreamError):
    code = "provider_auth_error"


class ProviderRateLimited(UpstreamError):
    status = 429
    type = "rate_limit_error"
    code = "provider_rate_limited"
    retryable = True


class ProviderOverloaded(UpstreamError):
    status = 503
    code = "provider_overloaded"
    retryable = True


class ProviderTimeout(UpstreamError):
    status = 504
    type = "timeout_error"
    code = "provider_timeout"
    retryable = True


class ProviderFailed(UpstreamError):
    retryable = True


class ProviderUnreachable(ProviderFailed):
    code = "provider_unreachable"


class ProviderMalformed(ProviderFailed):
    code = "provider_malformed_response"


class StreamCut(ProviderFailed):
    code = "provider_stream_cut"
