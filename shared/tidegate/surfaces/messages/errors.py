"""Errors in the envelope of the Messages API.

Source: https://platform.claude.com/docs/en/api/errors (2026-11).
"""

from tidegate.errors import TidegateError
from tidegate.json import JsonObject

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


def error_body(error: TidegateError) -> JsonObject:
    """Return the body of an error reply, and the data of an error event."""
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    body: JsonObject = {"type": "error", "error": {"type": kind, "message": error.message}}
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return body
