"""The error that callers get for a bug of the gateway."""

from tidegate.errors import TidegateError


def internal_error() -> TidegateError:
    """Return the error, which has no details."""
    error = TidegateError("The gateway has an internal error. Find it in the log by the x-request-id of this reply.")
    error.code = "internal_error"
    return error
