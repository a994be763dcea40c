"""An API Gateway REST (payload 1.0) or Function URL (payload 2.0) event as an ASGI scope and body. Pure.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (1.0),
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html (2.0), both read 2026-11;
https://asgi.readthedocs.io/en/latest/specs/www.html (spec_version 2.4).
"""

import base64
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote, urlencode

from msgspec import Struct

from tidegate.lazy import late_pattern
from tidegate.runtime.asgi import VERSIONS, Headers, Json, Scope

Payload: TypeAlias = Literal["1.0", "2.0"]

# What RFC 3986 lets stand in a path and in a query; "%" because both mostly come encoded already.
_PATH = "/%:@!$&'()*+,;=~"
_QUERY = _PATH + "?"
_PORT = late_pattern(r"[0-9]{1,5}")
_STRAY_PERCENT = late_pattern(r"%(?![0-9A-Fa-f]{2})")


class UnknownEvent(Exception):
    """Not an HTTP request: a queue message, a schedule, anything else."""


class MalformedEvent(Exception):
    """An HTTP request that cannot be read; the message names the field, never its content."""


class Request(Struct, frozen=True):
    scope: Scope
    body: bytes


def payload_of(event: Json) -> Payload:
    """Which of the two formats `event` has. Raises `UnknownEvent`."""
    match event:
        case {"requestContext": {"http": _}} | {"version": "2.0", "requestContext": _}:
            return "2.0"
        case {"httpMethod": _} | {"version": "1.0", "requestContext": _}:
            return "1.0"
        case _:
            raise UnknownEvent("the event is neither an API Gateway REST nor a Function URL request")


def request_of(event: Json) -> Request:
    """The request in `event`, still without `state` and extensions.

    Raises `UnknownEvent` or `MalformedEvent`.
    """
    payload = payload_of(event)
    fields = _mapping(event, "event")
    try:
        return _read_rest(fields) if payload == "1.0" else _read_url(fields)
    except UnicodeEncodeError:
        raise MalformedEvent("the event holds a lone surrogate, which no encoding can carry") from None


def _read_rest(event: dict[str, Json]) -> Request:
    context = _mapping(event.get("requestContext"), "requestContext")
    identity = _mapping(context.get("identity"), "requestContext.identity")
    headers: Headers = [
        _header(name, value)
        for name, values in _many(event, "multiValueHeaders", "headers").items()
        for value in values
    ]
    # API Gateway hands query values over decoded, unlike the path.
    query = [
        (name, value)
        for name, values in _many(event, "multiValueQueryStringParameters", "queryStringParameters").items()
        for value in values
    ]
    return Request(
        _scope(
            method=_text(event, "httpMethod"),
            path=_text(event, "path"),
            query=urlencode(query, quote_via=quote),
            headers=headers,
            context=context,
            protocol=context.get("protocol"),
            client=identity.get("sourceIp"),
        ),
        _body(event),
    )


def _read_url(event: dict[str, Json]) -> Request:
    context = _mapping(event.get("requestContext"), "requestContext")
    http = _mapping(context.get("http"), "requestContext.http")
    single = _mapping(event.get("headers"), "headers")
    headers: Headers = [_header(name, _string(value, "headers")) for name, value in single.items()]
    match event.get("cookies"):
        case None | []:
            pass
        case [*cookies]:
            line = "; ".join(_string(cookie, "cookies") for cookie in cookies)
            headers = [(name, value) for name, value in headers if name != b"cookie"] + [_header("cookie", line)]
        case _:
            raise MalformedEvent("cookies must be a list of strings")
    return Request(
        _scope(
            method=_string(http.get("method"), "requestContext.http.method"),
            path=_text(event, "rawPath"),
            query=_string(event.get("rawQueryString") or "", "rawQueryString"),
            headers=headers,
            context=context,
            protocol=http.get("protocol"),
            client=http.get("sourceIp"),
        ),
        _body(event),
    )


def _scope(
    *, method: str, path: str, query: str, headers: Headers, context: dict[str, Json], protocol: Json, client: Json
) -> Scope:
    # REST APIs and Function URLs pass the path as the client encoded it, HTTP APIs and some emulators decode it:
    # only what cannot stand in a path is escaped.
    raw_path = quote(_STRAY_PERCENT.sub("%25", path), safe=_PATH) or "/"
    first = dict(reversed(headers))
    scheme = "http" if first.get(b"x-forwarded-proto") == b"http" else "https"
    domain = context.get("domainName")
    host = first.get(b"host", domain.encode() if isinstance(domain, str) else b"").decode("latin-1")
    return {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": "2" if protocol in ("HTTP/2", "HTTP/2.0") else "1.1",
        "method": method.upper(),
        "scheme": scheme,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "query_string": quote(_STRAY_PERCENT.sub("%25", query), safe=_QUERY).encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": (client, 0) if isinstance(client, str) and client else None,
        "server": _server(host, scheme, first.get(b"x-forwarded-port", b"")),
    }


def _server(host: str, scheme: str, forwarded_port: bytes) -> tuple[str, int] | None:
    if not host:
        return None
    name, colon, port = host.rpartition(":")
    if colon and _PORT.fullmatch(port):
        return name.strip("[]"), int(port)
    if _PORT.fullmatch(forwarded_port.decode("latin-1")):
        return host, int(forwarded_port)
    return host, 80 if scheme == "http" else 443


def _body(event: dict[str, Json]) -> bytes:
    body, encoded = event.get("body"), event.get("isBase64Encoded", False)
    if body is not None and not isinstance(body, str):
        raise MalformedEvent("body must be a string or null")
    if not isinstance(encoded, bool):
        raise MalformedEvent("isBase64Encoded must be true or false")
    if not body:
        return b""
    if not encoded:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise MalformedEvent("body is not the base64 that isBase64Encoded announces") from None


def _many(event: dict[str, Json], multiple: str, single: str) -> dict[str, list[str]]:
    """Names with all their values, from the multi-value field or, where it is null, from the single-value one."""
    if event.get(multiple) is None:
        pairs = _mapping(event.get(single), single).items()
        return {name: [_string(value, single)] for name, value in pairs}
    found: dict[str, list[str]] = {}
    for name, values in _mapping(event[multiple], multiple).items():
        if not isinstance(values, list):
            raise MalformedEvent(f"{multiple} must hold lists of strings")
        found[name] = [_string(value, multiple) for value in values]
    return found


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        return name.lower().encode("latin-1"), value.encode("latin-1")
    except UnicodeEncodeError:
        return name.lower().encode(), value.encode()


def _mapping(value: Json, field: str) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedEvent(f"{field} must be an object")
    return value


def _text(event: dict[str, Json], field: str) -> str:
    return _string(event.get(field), field)


def _string(value: Json, field: str) -> str:
    if not isinstance(value, str):
        raise MalformedEvent(f"{field} must be a string")
    return value
