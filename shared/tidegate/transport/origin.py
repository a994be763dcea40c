"""Where a request goes: scheme, host and port, the proxy in between, and the head that names them.

Source: https://www.rfc-editor.org/rfc/rfc9112 (2022), sections 3.2 and 5.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.lazy import late_pattern

PORTS = {"http": 80, "https": 443}

_URL = late_pattern(r"(https?)://([^/?#\\]+)(?=[/?#]|\Z)([^#]*)", re.IGNORECASE | re.DOTALL)
_HOST = late_pattern(r"[a-z0-9._~-]+|[0-9a-f:.]+")
_NAME = late_pattern(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_IN_A_TARGET = late_pattern(r"[^!-~]")
_FRAMING = frozenset({"transfer-encoding", "connection"})


class Proxy(Redacted, Struct, frozen=True):
    """An HTTP proxy. `authorization` is the value of `proxy-authorization`, or empty."""

    host: str
    port: int
    authorization: str = ""


class Origin(Redacted, Struct, frozen=True):
    """A server. `authority` is its name in the field `host`; `authorization` comes from the user in the URL."""

    scheme: str
    host: str
    port: int
    authority: str
    authorization: str = ""
    proxy: Proxy | None = None

    @property
    def is_tunnelled(self) -> bool:
        """True if requests pass the proxy unseen; without TLS, the proxy reads them."""
        return self.proxy is not None and self.scheme == "https"

    def encode_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """The request's head, up to the field `content-length`, which `headers` cannot set.

        Raises `ValueError` for what HTTP does not allow.
        """
        fields = {"host": self.authority, "user-agent": "tidegate", "accept": "*/*", "accept-encoding": "identity"}
        if self.authorization:
            fields["authorization"] = self.authorization
        prefix = ""
        if self.proxy is not None and not self.is_tunnelled:
            prefix = f"{self.scheme}://{self.authority}"
            if self.proxy.authorization:
                fields["proxy-authorization"] = self.proxy.authorization
        for name, value in headers.items():
            if _NAME.fullmatch(name) is None or name.lower() in _FRAMING:
                raise ValueError("a header has a name that cannot be sent")
            if name.lower() != "content-length":
                fields[name.lower()] = value
        lines = [f"{method} {prefix}{target} HTTP/1.1\r\n", *[f"{name}: {value}\r\n" for name, value in fields.items()]]
        head = "".join(lines)
        if head.count("\r") != len(lines) or head.count("\n") != len(lines) or "\0" in head:
            raise ValueError("a header has a value that cannot be sent")
        return head.encode()


def split_url(url: str) -> tuple[str, str]:
    """The part of a URL that names its origin, and the target of the request. Raises `ValueError`."""
    match = _URL.match(url)
    if match is None:
        raise ValueError("the URL is not valid")
    target = match[3]
    if not target.startswith("/"):
        target = f"/{target}"
    if _NOT_IN_A_TARGET.search(target) is not None:
        if any(character < " " or character == "\x7f" for character in target):
            raise ValueError("the URL is not valid")
        target = _NOT_IN_A_TARGET.sub(lambda found: quote(found[0]), target)
    return url[: match.end(2)], target


def parse_origin(url: str, proxy: Proxy | None = None) -> Origin:
    """The origin of a URL. Raises `ValueError`."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()
    if scheme not in PORTS or _HOST.fullmatch(host) is None:
        raise ValueError("the URL is not valid")
    port = parts.port or PORTS[scheme]
    name = f"[{host}]" if ":" in host else host
    authority = name if port == PORTS[scheme] else f"{name}:{port}"
    return Origin(scheme, host, port, authority, _basic(parts.username, parts.password), proxy)


def parse_proxy(url: str) -> Proxy:
    """A proxy from its URL, `http://user:password@host:port`. Raises `ValueError`."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme.lower() != "http" or not parts.hostname:
        raise ValueError("only proxies with http:// are supported")
    return Proxy(parts.hostname, parts.port or PORTS["http"], _basic(parts.username, parts.password))


def _basic(user: str | None, password: str | None) -> str:
    """The value of an authorization header (RFC 7617), or an empty string."""
    if user is None:
        return ""
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
