"""The calls of the Runtime API.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (version 2018-06-01),
https://docs.aws.amazon.com/lambda/latest/dg/response-streaming.html and
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html, read 2026-11; the streaming headers and
error trailers are those of AWS's own Node.js and Rust runtimes.
"""

import asyncio
import math
import time

from msgspec import Struct

from tidegate.runtime.connection import Connection, ConnectionLost, Fields, Reply
from tidegate.runtime.failure import ERROR_BODY_HEADER, ERROR_TYPE_HEADER, Failure

REPLY_SECONDS = 10.0
"""How long the Runtime API may take to acknowledge a response."""

_STREAM_TYPE = "application/vnd.awslambda.http-integration-response"


class ContainerError(Exception):
    """The Runtime API says that this process cannot go on; AWS wants it to exit promptly."""


class Invocation(Struct, frozen=True):
    request_id: str
    invocation_id: str
    """Sent back with the response where Lambda gave one; else empty."""
    deadline: float
    """UTC seconds; infinity where Lambda gave none that can be believed."""
    function_arn: str
    trace_id: str
    event: bytes


class Endpoint:
    """The Runtime API at `HOST:PORT`, or at `HOST:PORT/PREFIX` as emulators have it."""

    def __init__(self, api: str) -> None:
        self._authority, slash, prefix = api.partition("/")
        self._root = f"{slash}{prefix}".rstrip("/") + "/2018-06-01/runtime"

    def connect(self) -> Connection:
        """A connection of the caller's own, which the caller closes."""
        return Connection(self._authority)

    async def next(self, connection: Connection) -> Invocation | None:
        """Wait for an invocation; None where the emulator had none yet.

        Raises `OSError` for what is worth another try and `ContainerError` for what is not.
        """
        reply = await connection.request("GET", f"{self._root}/invocation/next")
        if reply.status >= 500:
            raise ContainerError(f"the Runtime API answered {reply.status}")
        if reply.status == 204:
            return None
        if reply.status != 200 or "lambda-runtime-aws-request-id" not in reply.headers:
            raise ConnectionLost(f"the Runtime API answered {reply.status} without an invocation")
        return invocation_of(reply, time.time())

    async def respond(self, invocation: Invocation, body: bytes) -> None:
        """Answer with one JSON document, not streamed."""
        await self._post(f"/invocation/{invocation.request_id}/response", body, _echo(invocation))

    async def fail(self, invocation: Invocation, failure: Failure) -> None:
        """Report an invocation that has no answer."""
        error_type = [(ERROR_TYPE_HEADER, failure.error_type)]
        path = f"/invocation/{invocation.request_id}/error"
        await self._post(path, failure.report, error_type + _echo(invocation))

    async def fail_init(self, failure: Failure) -> None:
        """Report that there will be no invocations; the process exits next."""
        await self._post("/init/error", failure.report, [(ERROR_TYPE_HEADER, failure.error_type)])

    async def restored(self) -> None:
        """SnapStart: return once this process runs again from its snapshot."""
        connection = self.connect()
        try:
            await connection.request("GET", f"{self._root}/restore/next")
        finally:
            connection.close()

    def begin_stream(self, connection: Connection, invocation: Invocation) -> None:
        """Start the streamed response on the open connection; chunks follow."""
        fields = [
            ("Content-Type", _STREAM_TYPE),
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", f"{ERROR_TYPE_HEADER}, {ERROR_BODY_HEADER}"),
        ]
        path = f"{self._root}/invocation/{invocation.request_id}/response"
        connection.write_head("POST", path, fields + _echo(invocation))

    async def _post(self, path: str, body: bytes, fields: Fields) -> None:
        connection = self.connect()
        try:
            json_type = ("Content-Type", "application/json")
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await connection.request("POST", self._root + path, [*fields, json_type], body)
        finally:
            connection.close()
        if not 200 <= reply.status < 300:
            raise ConnectionLost(f"the Runtime API answered {reply.status}")


def invocation_of(reply: Reply, now: float) -> Invocation:
    """The invocation in a reply to `next` that arrived at `now`."""
    headers = reply.headers
    return Invocation(
        request_id=headers["lambda-runtime-aws-request-id"],
        invocation_id=headers.get("lambda-runtime-invocation-id", ""),
        deadline=_deadline(headers.get("lambda-runtime-deadline-ms", ""), now),
        function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
        trace_id=headers.get("lambda-runtime-trace-id", ""),
        event=reply.body,
    )


def _deadline(milliseconds: str, now: float) -> float:
    """Emulators send 0, or a duration instead of a date: a deadline in the past is ignored."""
    seconds = int(milliseconds) / 1000 if milliseconds.isdecimal() else 0.0
    return seconds if seconds > now else math.inf


def _echo(invocation: Invocation) -> list[tuple[str, str]]:
    return [("Lambda-Runtime-Invocation-Id", invocation.invocation_id)] if invocation.invocation_id else []
