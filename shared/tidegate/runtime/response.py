"""An ASGI response in the two forms Lambda takes: a prelude before streamed bytes, or one proxy response. Pure.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html (streamed),
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (whole, 1.0),
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html (whole, 2.0), read 2026-11.
"""

import base64
import json

from msgspec import Struct

from tidegate.runtime.asgi import Headers
from tidegate.runtime.event import Payload

DELIMITER = bytes(8)

# The delimiter has to end within the first 16 KB of the stream.
_MAX_PRELUDE_BYTES = 16 * 1024 - len(DELIMITER)

# Framing belongs to the connection that API Gateway holds with the client.
_FRAMING = frozenset(("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))


class PreludeTooLarge(Exception):
    """Status and headers do not fit in the 16 KB that API Gateway reads before the body."""


class Head(Struct, frozen=True):
    status: int
    headers: Headers

    @property
    def is_event_stream(self) -> bool:
        """The body is server-sent events, so that an error can be told as one more event."""
        return any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers
        )

    @property
    def forbids_body(self) -> bool:
        """RFC 9110, section 6.4.1: no content whatever the method."""
        return self.status in (204, 304)


def prelude(head: Head, payload: Payload) -> bytes:
    """The JSON that goes before the delimiter. Raises `PreludeTooLarge`.

    `cookies` is always there because cargo-lambda requires it. Only REST APIs know `multiValueHeaders`, so a name sent
    twice goes there, and there alone; for a Function URL the values are joined, as RFC 9110, section 5.3 allows.
    """
    values, cookies = _split(head.headers)
    once, repeated = _once_and_repeated(values, payload)
    fields: dict[str, object] = {"statusCode": head.status, "headers": once, "cookies": cookies}
    if repeated:
        fields["multiValueHeaders"] = repeated
    encoded = _encode(fields)
    if len(encoded) > _MAX_PRELUDE_BYTES:
        raise PreludeTooLarge(f"the response's headers take {len(encoded)} bytes; {_MAX_PRELUDE_BYTES} fit")
    return encoded


def proxy_response(head: Head, body: bytes, payload: Payload) -> bytes:
    """The whole response as a buffered proxy integration takes it; a body that is not UTF-8 travels as base64."""
    values, cookies = _split(head.headers)
    once, repeated = _once_and_repeated(values, payload)
    fields: dict[str, object] = {"statusCode": head.status, "headers": once}
    if payload == "1.0":
        # Payload 1.0 refuses the key `cookies`.
        fields["multiValueHeaders"] = repeated | ({"set-cookie": cookies} if cookies else {})
    else:
        fields["cookies"] = cookies
    try:
        fields |= {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        fields |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return _encode(fields)


def _split(headers: Headers) -> tuple[dict[str, list[str]], list[str]]:
    values: dict[str, list[str]] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in _FRAMING:
            values.setdefault(name, []).append(value)
    return values, cookies


def _once_and_repeated(values: dict[str, list[str]], payload: Payload) -> tuple[dict[str, str], dict[str, list[str]]]:
    if payload == "2.0":
        return {name: ", ".join(all_of) for name, all_of in values.items()}, {}
    once = {name: all_of[0] for name, all_of in values.items() if len(all_of) == 1}
    return once, {name: all_of for name, all_of in values.items() if len(all_of) > 1}


def _encode(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii")
