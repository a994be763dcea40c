"""A model of an API Gateway REST API in STREAM mode, or a Function URL, in front of the Lambda Runtime API.

A model, not AWS: what it enforces is what AWS documents, and `violations` names every breach. As on AWS, the function
never learns that a client has gone.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html and
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, read 2026-11.
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.emulators.requests import rest_event, url_event
from tests.emulators.wire import Head, listening, read_body, read_chunks, read_trailers, write_reply

_DELIMITER = bytes(8)
_PRELUDE_LIMIT = 16 * 1024
_PRELUDE_KEYS = {"statusCode", "headers", "multiValueHeaders", "cookies"}
_FRAMING = {"connection", "content-length", "transfer-encoding"}
_RUNTIME = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Failed:
    """The function ended its response with an error, or gave none at all."""

    error_type: str
    report: dict[str, Any]


@dataclass(slots=True)
class Invocation:
    event: bytes
    payload: Literal["1.0", "2.0"]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    invocation_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    deadline: float = 0.0
    parts: "asyncio.Queue[dict[str, Any] | bytes | Failed | None]" = field(default_factory=asyncio.Queue)
    """The prelude, the body's pieces, and `Failed` or None at the end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One invocation's response, whole."""

    prelude: dict[str, Any] | None
    body: bytes
    failed: Failed | None


@dataclass(slots=True)
class Gateway:
    timeout_seconds: float = 30.0
    payload: Literal["1.0", "2.0"] = "1.0"
    streams: bool = True
    """False is `sam local`: a whole proxy response is wanted."""
    concurrency: int = 1
    cut_responses: bool = False
    """Close the runtime's connection as soon as the prelude has come."""
    url: str = ""
    runtime_api: str = ""
    calls: list[str] = field(default_factory=list)
    """What the runtime asked for, in order, without ids."""
    violations: list[str] = field(default_factory=list)
    init_errors: list[Failed] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has gone before its response was complete."""
    bytes_after_disconnect: int = 0
    waiting: "asyncio.Queue[Invocation]" = field(default_factory=asyncio.Queue)
    restoring: asyncio.Event = field(default_factory=asyncio.Event)
    """SnapStart: set when the runtime asks for `restore/next`."""
    restore: asyncio.Event = field(default_factory=asyncio.Event)
    """SnapStart: the answer to `restore/next` waits for this."""
    running: dict[str, Invocation] = field(default_factory=dict)

    async def invoke(self, event: object) -> Answer:
        """Invoke with any event, given as bytes or as what JSON can say."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        payload: Literal["1.0", "2.0"] = "2.0" if b'"rawPath"' in raw else "1.0"
        invocation = Invocation(raw, payload)
        self.waiting.put_nowait(invocation)
        prelude, body = None, b""
        while True:
            match await invocation.parts.get():
                case None:
                    return Answer(prelude, body, None)
                case Failed() as failed:
                    return Answer(prelude, body, failed)
                case bytes() as piece:
                    body += piece
                case dict() as fields:
                    prelude = fields

    async def serve_client(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_body(head, reader)
        if head.target == "/_report":
            report = {"calls": self.calls, "violations": self.violations}
            write_reply(writer, 200, json.dumps(report).encode())
            return
        if head.get("x-emulator-timeout"):
            self.timeout_seconds = float(head.get("x-emulator-timeout"))
        event = (rest_event if self.payload == "1.0" else url_event)(head, body)
        invocation = Invocation(json.dumps(event).encode(), self.payload)
        self.waiting.put_nowait(invocation)
        prelude = await invocation.parts.get()
        if not isinstance(prelude, dict):
            write_reply(writer, 502, b'{"message": "Internal server error"}')
            return
        await self._stream_to_client(prelude, invocation, reader, writer)

    async def _stream_to_client(
        self,
        prelude: dict[str, Any],
        invocation: Invocation,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        pairs = list(prelude.get("headers", {}).items())
        pairs += [(name, value) for name, values in prelude.get("multiValueHeaders", {}).items() for value in values]
        pairs += [("set-cookie", cookie) for cookie in prelude.get("cookies", [])]
        lines = [f"HTTP/1.1 {prelude['statusCode']} Reply", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in pairs]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        watching = asyncio.create_task(self._watch_client(reader))
        while isinstance(part := await invocation.parts.get(), bytes):
            if watching.done():
                self.bytes_after_disconnect += len(part)
                continue
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        watching.cancel()
        await asyncio.wait({watching})
        if part is None:
            writer.write(b"0\r\n\r\n")
        else:
            # The client sees a body that ends before its end.
            await writer.drain()
            writer.close()

    async def _watch_client(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            # Clients of the model do not send their next request before this response has ended.
            await reader.read(1)
        self.client_left.set()

    async def serve_runtime(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = head.target.removeprefix(_RUNTIME)
        *_, request_id, last = path.split("/")
        is_known = request_id in self.running
        self.calls.append(f"{head.method} {path.replace(request_id, 'ID') if is_known else path}")
        if path == "/invocation/next":
            await self._hand_out(reader, writer)
        elif path == "/restore/next":
            if "GET /invocation/next" in self.calls:
                self.violations.append("restore/next after the first invocation/next")
            self.restoring.set()
            await self.restore.wait()
            write_reply(writer, 200)
        elif path == "/init/error":
            self.init_errors.append(_failed(head, await read_body(head, reader)))
            write_reply(writer, 202)
        elif last in ("response", "error") and is_known:
            invocation = self.running[request_id]
            if head.get("lambda-runtime-invocation-id") != invocation.invocation_id:
                self.violations.append("Lambda-Runtime-Invocation-Id is not echoed")
            if last == "error":
                invocation.parts.put_nowait(_failed(head, await read_body(head, reader)))
            elif self.streams:
                await self._take_stream(head, invocation, reader, writer)
            else:
                await self._take_whole(head, invocation, reader)
            del self.running[request_id]
            if time.time() > invocation.deadline:
                self.violations.append("answered after the deadline")
            if not writer.is_closing():
                write_reply(writer, 202)
        else:
            self.violations.append(f"unexpected call: {head.method} {path}")
            write_reply(writer, 404)

    async def _hand_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.running) >= self.concurrency:
            self.violations.append(f"next with {len(self.running)} invocations unanswered")
        getting = asyncio.create_task(self.waiting.get())
        leaving = asyncio.create_task(reader.read(1))
        await asyncio.wait({getting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            getting.cancel()
            writer.close()
            return
        leaving.cancel()
        await asyncio.wait({leaving})
        invocation = getting.result()
        self.running[invocation.request_id] = invocation
        invocation.deadline = time.time() + self.timeout_seconds
        pairs = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Invocation-Id", invocation.invocation_id),
            ("Lambda-Runtime-Deadline-Ms", str(int(invocation.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:chat"),
            ("Lambda-Runtime-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=1"),
        ]
        write_reply(writer, 200, invocation.event, pairs)

    async def _take_stream(
        self, head: Head, invocation: Invocation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._check_stream_head(head)
        pending, prelude_seen = b"", False
        async for chunk in read_chunks(reader):
            if prelude_seen:
                invocation.parts.put_nowait(chunk)
                continue
            pending += chunk
            end = pending.find(_DELIMITER)
            if end < 0:
                continue
            prelude_seen = True
            invocation.parts.put_nowait(self._checked_prelude(pending[:end], invocation))
            if self.cut_responses:
                invocation.parts.put_nowait(Failed("Emulator.Cut", {}))
                writer.transport.abort()
                return
            if rest := pending[end + len(_DELIMITER) :]:
                invocation.parts.put_nowait(rest)
        trailers = await read_trailers(reader)
        if not prelude_seen:
            self.violations.append("the response ended without prelude and delimiter")
        error_type = trailers.get("lambda-runtime-function-error-type")
        report = base64.b64decode(trailers.get("lambda-runtime-function-error-body", "e30="))
        invocation.parts.put_nowait(Failed(error_type, json.loads(report)) if error_type else None)

    def _check_stream_head(self, head: Head) -> None:
        wanted = {
            "lambda-runtime-function-response-mode": "streaming",
            "transfer-encoding": "chunked",
            "content-type": "application/vnd.awslambda.http-integration-response",
            "trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        }
        self.violations += [
            f"{name} is {head.get(name)!r}" for name, value in wanted.items() if head.get(name).lower() != value.lower()
        ]

    def _checked_prelude(self, raw: bytes, invocation: Invocation) -> dict[str, Any]:
        prelude = json.loads(raw)
        allowed = _PRELUDE_KEYS - (set() if invocation.payload == "1.0" else {"multiValueHeaders"})
        names = {name.lower() for key in ("headers", "multiValueHeaders") for name in prelude.get(key, {})}
        breaches = {
            "the delimiter ends after the first 16 KB": len(raw) + len(_DELIMITER) > _PRELUDE_LIMIT,
            "unknown keys in the prelude": bool(set(prelude) - allowed),
            "framing headers in the prelude": bool(names & _FRAMING),
            "set-cookie outside of cookies": "set-cookie" in names,
            "no cookies in the prelude": not isinstance(prelude.get("cookies"), list),
            "a header that is not a string": not all(isinstance(v, str) for v in prelude.get("headers", {}).values()),
        }
        self.violations += [breach for breach, happened in breaches.items() if happened]
        return prelude

    async def _take_whole(self, head: Head, invocation: Invocation, reader: asyncio.StreamReader) -> None:
        if head.get("lambda-runtime-function-response-mode"):
            self.violations.append("streamed to a caller that cannot stream")
        fields = json.loads(await read_body(head, reader))
        body = fields.pop("body").encode()
        invocation.parts.put_nowait(fields)
        invocation.parts.put_nowait(base64.b64decode(body) if fields["isBase64Encoded"] else body)
        invocation.parts.put_nowait(None)


def _failed(head: Head, body: bytes) -> Failed:
    return Failed(head.get("lambda-runtime-function-error-type"), json.loads(body))


@asynccontextmanager
async def running(gateway: Gateway, http_port: int = 0) -> AsyncIterator[Gateway]:
    """Serve `gateway` on 127.0.0.1 until the block ends; its `url` and `runtime_api` are set in it."""
    async with (
        listening(gateway.serve_client, http_port) as client_port,
        listening(gateway.serve_runtime) as runtime_port,
    ):
        gateway.url = f"http://127.0.0.1:{client_port}"
        gateway.runtime_api = f"127.0.0.1:{runtime_port}"
        yield gateway
