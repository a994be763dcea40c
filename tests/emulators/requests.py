"""An HTTP request as the event that API Gateway REST (payload 1.0) or a Function URL (payload 2.0) makes of it."""

import base64
import time
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.wire import Head


def rest_event(head: Head, body: bytes) -> dict[str, Any]:
    """Payload 1.0: the path stays encoded, query values are decoded, names keep their case."""
    parts = urlsplit(head.target)
    headers: dict[str, list[str]] = {}
    for name, value in head.pairs:
        headers.setdefault(name, []).append(value)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    text, encoded = _text(body)
    return {
        "resource": "/{proxy+}",
        "path": parts.path,
        "httpMethod": head.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": parts.path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "httpMethod": head.method,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": head.get("user-agent")},
            "path": f"/prod{parts.path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def url_event(head: Head, body: bytes) -> dict[str, Any]:
    """Payload 2.0: names in lower case, repeated headers joined, cookies apart."""
    parts = urlsplit(head.target)
    headers: dict[str, str] = {}
    for name, value in head.pairs:
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").split(";") if cookie.strip()]
    text, encoded = _text(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "f1g2h3i4j5",
            "domainName": "f1g2h3i4j5.lambda-url.eu-central-1.on.aws",
            "http": {
                "method": head.method,
                "path": parts.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": encoded,
    }
    return event | ({"cookies": cookies} if cookies else {}) | ({"body": text} if text is not None else {})


def _text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
