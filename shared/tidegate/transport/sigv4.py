"""AWS Signature Version 4, pure: a request's headers with its signature, or a URL with one. Tested against botocore.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote, urlsplit

from msgspec import Struct

from tidegate.domain.redacted import Redacted

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Clients and proxies change or remove these headers, which would break the signature. The list is botocore's.
_UNSIGNED = frozenset(
    {
        *("authorization", "baggage", "connection", "expect", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "te", "traceparent", "tracestate", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent", "x-amzn-trace-id"),
    }
)


class AwsKey(Redacted, Struct, frozen=True):
    """An AWS access key; `token` is the session token of a temporary one."""

    id: str
    secret: str
    token: str | None = None


AwsKeys: TypeAlias = Callable[[], Awaitable[AwsKey]]
"""Gives the current key for signing one request. Raises `StoreUnavailable`."""


class SigningScope(Struct, frozen=True):
    """The service and the region that a signature is valid for."""

    service: str
    region: str


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, key: AwsKey, scope: SigningScope, *, at: float
) -> dict[str, str]:
    """Return `headers` in lower case, plus `x-amz-date`, `authorization`, and a temporary key's `x-amz-security-token`.

    `at` is the time of signing in UTC seconds; AWS accepts a signature within five minutes of it. The path and query
    of `url` must be percent-encoded already. `host` is signed, and left to the HTTP client to send.
    """
    timestamp = _timestamp(at)
    outgoing_headers = {name.lower(): value for name, value in headers.items()}
    outgoing_headers.pop("authorization", None)
    outgoing_headers["x-amz-date"] = timestamp
    if key.token:
        outgoing_headers["x-amz-security-token"] = key.token
    signed_headers = {name: value for name, value in outgoing_headers.items() if name not in _UNSIGNED}
    signed_headers["host"] = _host(url)
    names = ";".join(sorted(signed_headers))
    body_digest = signed_headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    request = _canonical_request(method, url, signed_headers, body_digest, encode_twice=scope.service != "s3")
    credential_scope = _credential_scope(scope, timestamp)
    signature = _signature(request, key, credential_scope, timestamp)
    outgoing_headers["authorization"] = (
        f"{_ALGORITHM} Credential={key.id}/{credential_scope}, SignedHeaders={names}, Signature={signature}"
    )
    return outgoing_headers


def presign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    key: AwsKey,
    scope: SigningScope,
    *,
    at: float,
    seconds: int,
) -> str:
    """Return the URL of an S3 object with a signature, valid for `seconds`, at most a week, and as long as `key` is.

    Whoever uses it must send exactly `headers`; the body is theirs. `url` has no query of its own.
    """
    timestamp = _timestamp(at)
    signed_headers = {name.lower(): value for name, value in headers.items()} | {"host": _host(url)}
    credential_scope = _credential_scope(scope, timestamp)
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{key.id}/{credential_scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(sorted(signed_headers)),
    }
    if key.token:
        query["X-Amz-Security-Token"] = key.token
    url = f"{url}?{'&'.join(f'{name}={quote(value, safe=_UNRESERVED)}' for name, value in query.items())}"
    request = _canonical_request(method, url, signed_headers, "UNSIGNED-PAYLOAD", encode_twice=False)
    return f"{url}&X-Amz-Signature={_signature(request, key, credential_scope, timestamp)}"


def _canonical_request(
    method: str, url: str, headers: Mapping[str, str], body_digest: str, *, encode_twice: bool
) -> str:
    """The text whose digest is signed. `encode_twice` (all but S3) encodes the path again and resolves its dots."""
    parts = urlsplit(url)
    path = parts.path or "/"
    names = sorted(headers)
    return "\n".join(
        (
            method.upper(),
            quote(_resolve_dots(path), safe="/" + _UNRESERVED) if encode_twice else path,
            "&".join("=".join(pair) for pair in sorted(_query(parts.query))),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            body_digest,
        )
    )


def _query(query: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(name, value) for name, _, value in pairs]


def _resolve_dots(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return f"/{'/'.join(segments)}{end}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _credential_scope(scope: SigningScope, timestamp: str) -> str:
    return f"{timestamp[:8]}/{scope.region}/{scope.service}/aws4_request"


def _signature(request: str, key: AwsKey, credential_scope: str, timestamp: str) -> str:
    string_to_sign = "\n".join((_ALGORITHM, timestamp, credential_scope, hashlib.sha256(request.encode()).hexdigest()))
    return hmac.new(_signing_key(key.secret, credential_scope), string_to_sign.encode(), hashlib.sha256).hexdigest()


def _signing_key(secret: str, credential_scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in credential_scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
