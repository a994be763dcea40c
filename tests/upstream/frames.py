"""AWS event streams, written: what AWS sends, and what it never should."""

import json
import struct
from typing import Any
from zlib import crc32


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value


def text(name: str, value: str) -> bytes:
    return header(name, 7, struct.pack(">H", len(value.encode())) + value.encode())


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def event(kind: str, body: dict[str, Any]) -> bytes:
    """An event as Bedrock sends it."""
    headers = text(":event-type", kind) + text(":content-type", "application/json") + text(":message-type", "event")
    return frame(headers, json.dumps(body).encode())


def exception(kind: str, body: dict[str, Any]) -> bytes:
    headers = text(":exception-type", kind) + text(":message-type", "exception")
    return frame(headers, json.dumps(body).encode())


def error(code: str, message: str) -> bytes:
    headers = text(":message-type", "error") + text(":error-code", code) + text(":error-message", message)
    return frame(headers, b"")


def framed(lines: str) -> bytes:
    """The stream whose events are written one a line: `contentBlockDelta {…}`, `exception:throttlingException {…}`."""
    made = b""
    for line in filter(None, lines.splitlines()):
        kind, _, body = line.partition(" ")
        make = exception if kind.startswith("exception:") else event
        made += make(kind.removeprefix("exception:"), json.loads(body))
    return made
