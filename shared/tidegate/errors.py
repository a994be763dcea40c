"""Everything that can go wrong in a call, as one tree. Only `api/errors.py` turns it into a reply.

TidegateError
├── InvalidRequest 400            the caller's request; `param` is the field's path
│   ├── MissingWorkspace 400      no x-workspace-id where the surface requires it
│   ├── UnsupportedParameter 400  require_parameters is set and the provider cannot honour a field
│   ├── UnsupportedMediaType 415  the body is not application/json
│   ├── RequestTooLarge 413
│   ├── GuardrailViolation 400    the prompt or the answer; the message names the guardrail, never the text
│   ├── KeyWithoutWorkspace 400
│   ├── UnknownPlan 400           a workspace shall have a plan that there is not
│   ├── Conflict 409              what is asked for does not fit what is there
│   │   ├── AlreadyExists 409     the id is taken by something else
│   │   ├── AccountBusy 409       calls are open on an account that must be opened anew
│   │   ├── LimitBelowUsed 409    more was used in this period than the new limit allows
│   │   └── IdempotencyInFlight 409  a call with the same idempotency key is not over yet
│   ├── IdempotencyKeyReused 422  the key was sent with another body before
│   ├── Stale 412                 somebody else has changed it since: read it again
│   └── PreconditionRequired 428  a change must say in If-Match what it changes
├── InvalidKey 401                missing, unknown, revoked or expired: indistinguishable on purpose
├── InvalidToken 401              an access token that is malformed, forged, or not meant for this gateway
│   └── ExpiredToken 401
├── TooManyFailures 429           callers of one address failed too often to say who they are
├── IssuerUnavailable 503         the issuer of access tokens does not tell its keys: never an unverified pass
├── EndpointNotAllowed 403        the key may not use this path
├── NetworkNotAllowed 403         the key may not be used from where the request comes from
├── WorkspaceForbidden 403        unknown, foreign and suspended workspaces alike
├── AdminForbidden 403            the admin key has not the scope, or not the whole gateway
├── ModelNotAllowed 403           the workspace or the key may not use this model
├── ModelUnpriced 403             there is a budget in USD, and the model has no price
├── NoRoom 429                    a limit of the workspace or the key
│   ├── RateLimited 429           for each minute, or of parallel calls
│   └── QuotaExhausted 429        a budget: trying again does not help before it resets
├── NotFound 404                  no such path
│   └── ModelNotFound 404
├── MethodNotAllowed 405
├── NotConfigured 503             the provider is known, its key is not set
├── StoreUnavailable 503          DynamoDB does not answer: never an unauthenticated pass
├── GuardrailUnavailable 503      a guardrail that fails closed cannot be asked, or not in time
├── GatewayTimeout 504            the call's deadline passed on our side of the upstream
│   └── DeadlinePassed 504        it had passed before the call began: no use in trying again
├── ConfigurationError            at start-up: names every missing or malformed setting
└── UpstreamError                 facts about a provider's failure; policy decides what they mean
    ├── ProviderBadRequest 400    the provider's own message passes through
    │   ├── ContextLengthExceeded 400
    │   └── ContentPolicyViolation 400
    ├── ProviderModelNotFound 404
    ├── ProviderAuth 502          never a 401 to our caller, who would doubt their own key
    ├── ProviderRateLimited 429
    ├── ProviderOverloaded 503
    ├── ProviderTimeout 504
    └── ProviderFailed 502
        ├── ProviderUnreachable 502   refused, unresolved, reset before an answer
        ├── ProviderMalformed 502     an answer that is not the dialect
        └── StreamCut 502             the stream ended before its end
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar


class TidegateError(Exception):
    """One failure. The class fixes `status`, `type` and `code`; the instance carries the message and a field path.

    `attempts` is how often providers were asked before, `failed_attempts` what became of that, for people to read;
    `usage` what a stream had used when it broke off, as callers are told.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    retryable: ClassVar[bool] = False
    """Whether a provider's failure may pass by itself."""

    should_retry: ClassVar[bool | None] = None
    """What `x-should-retry` tells OpenAI's clients, where they would do otherwise."""

    def __init__(self, message: str, *, param: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.attempts = 0
        self.failed_attempts: tuple[str, ...] = ()
        self.usage: Mapping[str, object] | None = None


class InvalidRequest(TidegateError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MissingWorkspace(InvalidRequest):
    code = "missing_workspace_id"


class OperationNotSupported(InvalidRequest):
    """The model's provider cannot do what the endpoint is for."""

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


class IssuerUnavailable(TidegateError):
    status = 503
    code = "issuer_unavailable"


class EndpointNotAllowed(TidegateError):
    status = 403
    type = "permission_error"
    code = "endpoint_not_allowed"


class NetworkNotAllowed(TidegateError):
    status = 403
    type = "permission_error"
    code = "network_not_allowed"


class WorkspaceForbidden(TidegateError):
    status = 403
    type = "permission_error"
    code = "workspace_forbidden"


class AdminForbidden(TidegateError):
    status = 403
    type = "permission_error"
    code = "admin_forbidden"


class ModelNotAllowed(TidegateError):
    status = 403
    type = "permission_error"
    code = "model_not_allowed"


class ModelUnpriced(TidegateError):
    status = 403
    type = "permission_error"
    code = "model_unpriced"


class LimitReached(TidegateError):
    """A limit of ours is reached: its name, what it allows, and what is left of that for a smaller call."""

    status = 429

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        maximum: int | Decimal,
        remaining: int | Decimal = 0,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.limit = limit
        self.maximum = maximum
        self.remaining = remaining


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
    """A setting that is missing or malformed; the message names all of them."""

    code = "configuration_error"


class UpstreamError(TidegateError):
    """A provider's failure. Facts only: `policy` decides whether to try again.

    `upstream_status` is the provider's HTTP status, None where there was no answer; `native_code` is the provider's
    own code or type; `sent_first_chunk` says that the caller has seen part of the answer already.
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
        self.upstream_status = upstream_status
        self.native_code = native_code
        self.sent_first_chunk = False


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
