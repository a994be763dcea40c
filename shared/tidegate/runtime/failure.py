"""Failures of invocations, in words that may be told: the error's type and place, never its message.

An exception's message can quote the prompt or a key, so it is neither logged nor sent. The one exception to this is
start-up, where nobody has called yet and the message names the missing setting.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (error types and bodies, 2026-10).
"""

import base64
import json
import sys
import time
import traceback
from typing import cast

from msgspec import Struct

from tidegate.runtime.response import Head

ERROR_TYPE_HEADER = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY_HEADER = "Lambda-Runtime-Function-Error-Body"

_MAX_FRAMES = 16
_MAX_STARTUP_MESSAGE = 1024


class Failure(Struct, frozen=True):
    error_type: str
    """Lambda's form, `Category.Reason`."""
    message: str
    status: int = 500
    code: str = "internal_error"
    stack: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        """The response's start, when the failure can still be the whole response."""
        return Head(self.status, [(b"content-type", b"application/json")])

    @property
    def body(self) -> bytes:
        """The failure in OpenAI's error envelope."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": None, "code": self.code}
        return json.dumps({"error": error}, separators=(",", ":")).encode()

    @property
    def event(self) -> bytes:
        """The failure as a server-sent event; the blank line first ends whatever event was cut."""
        return b"\n\ndata: " + self.body + b"\n\n"

    @property
    def report(self) -> bytes:
        """The failure as the Runtime API takes it."""
        fields = {"errorType": self.error_type, "errorMessage": self.message, "stackTrace": list(self.stack)}
        return json.dumps(fields, separators=(",", ":")).encode()

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailers that end a response that has started already."""
        return [
            (ERROR_TYPE_HEADER, self.error_type),
            (ERROR_BODY_HEADER, base64.b64encode(self.report).decode("ascii")),
        ]


DEADLINE_PASSED = Failure(
    "Runtime.DeadlinePassed", "The gateway ran out of time before the answer was complete.", 504, "gateway_timeout"
)
SHUTTING_DOWN = Failure(
    "Runtime.ShuttingDown", "The gateway is shutting down; send the request again.", 503, "shutting_down"
)
INCOMPLETE = Failure("Runtime.IncompleteResponse", "The gateway stopped before its answer was complete.")
HEADERS_TOO_LARGE = Failure("Runtime.HeadersTooLarge", "The response's headers do not fit in 16 KB.")
UNKNOWN_EVENT = Failure("Runtime.UnknownEvent", "The event is not an HTTP request from API Gateway or a Function URL.")


def malformed_event(reason: str) -> Failure:
    """The answer to an event that cannot be read."""
    return Failure("Runtime.MalformedEvent", f"The request could not be read: {reason}.", 400, "malformed_event")


def crash(error: BaseException) -> Failure:
    """The failure to report when the application raised; it never contains the exception's message."""
    return Failure(
        f"Function.{_type_name(_innermost(error))}", "Internal server error.", stack=_frames(_innermost(error))
    )


def startup_crash(error: BaseException) -> Failure:
    """The failure to report for an exception before the first invocation, message included."""
    cause = _innermost(error)
    return Failure(f"Runtime.{_type_name(cause)}", str(cause)[:_MAX_STARTUP_MESSAGE], stack=_frames(cause))


def log(event: str, level: str = "ERROR", **fields: object) -> None:
    """Write one JSON line, in the shape CloudWatch filters by level.

    Not through `logging`: the application owns its configuration, and may be what has failed.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(json.dumps({"timestamp": stamp, "level": level, "message": event, **fields}) + "\n")
    sys.stderr.flush()


def _innermost(error: BaseException) -> BaseException:
    """The first exception in a group: task groups wrap the one that matters."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _type_name(error: BaseException) -> str:
    # It becomes a header's value.
    return type(error).__name__.encode("ascii", "replace").decode("ascii")


def _frames(error: BaseException) -> tuple[str, ...]:
    frames = traceback.extract_tb(error.__traceback__, limit=-_MAX_FRAMES)
    return tuple(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
