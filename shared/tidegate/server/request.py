"""The head of a request → an ASGI scope. Pure.

Sources: RFC 9112 (sections 3.2: targets and Host; 6.1: Transfer-Encoding in HTTP/1.0),
https://asgi.readthedocs.io/en/latest/specs/www.html (spec_version 2.3: `send` does nothing once the client has gone).
"""

import re
from collections.abc import Iterator
from typing import cast
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.runtime.asgi import App, Headers, Scope, app_of
from tidegate.server.digits import DIGITS
from tidegate.server.proxies import TrustedProxies, scheme_of
from tidegate.server.refusal import BAD_HOST, BAD_REQUEST, BAD_TARGET, WRONG_VERSION, Refusal

_ASGI = {"version": "3.0", "spec_version": "2.3"}

_MOST_REPEATED_BYTES = 4_096
"""How long a head may be that is kept for the requests after it."""

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)\r\n", re.I)


class NotServed(Exception):
    """The request is not one for the application."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Peer(Struct, frozen=True):
    """Both ends of a connection; None for what is not an address, such as a Unix socket."""

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    proxies: TrustedProxies | None = None
    """Set if the client is a trusted proxy."""


class Target(Struct, frozen=True):
    """The target of a request, `raw` as it was sent."""

    raw: bytes
    path: str
    raw_path: bytes
    query: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Target":
        """Read a target. Raises `NotServed` if it is not a path."""
        raw_path, query = _split_target(raw)
        path = raw_path.decode("ascii")
        return cls(raw, unquote(path) if "%" in path else path, raw_path, query)


class Head(Struct):
    """The head of one request, without its target. `fields` has the last value of each header."""

    method: str
    version: str
    headers: Headers
    fields: dict[bytes, bytes]

    def check(self) -> None:
        """Raise `NotServed` for what the parser lets pass, and other servers could understand differently."""
        if self.method == "CONNECT":
            raise NotServed(BAD_TARGET)
        if self.version != "1.1":
            if self.version != "1.0":
                raise NotServed(WRONG_VERSION)
            if b"transfer-encoding" in self.fields:
                raise NotServed(BAD_REQUEST)
        elif b"host" not in self.fields:
            raise NotServed(BAD_HOST)
        if len(self.fields) != len(self.headers):
            self._check_repeated()
        # No client compresses, and a proxy could disagree with us.
        if b"transfer-encoding" in self.fields and self.fields[b"transfer-encoding"].lower() != b"chunked":
            raise NotServed(BAD_REQUEST)

    def scope(self, target: Target, peer: Peer, state: dict[str, object]) -> Scope:
        """Return the scope, without extensions."""
        scope: Scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "path": target.path,
            "raw_path": target.raw_path,
            "query_string": target.query,
            "root_path": "",
            "headers": self.headers,
            "client": peer.client,
            "server": peer.server,
            "state": {**state},
        }
        if peer.proxies is not None and (b"x-forwarded-for" in self.fields or b"x-forwarded-proto" in self.fields):
            self._read_forwarded(scope, peer.proxies)
        return scope

    def framing(self) -> bytes:
        """Return the header that says where the body ends, or nothing if there is no body."""
        if b"transfer-encoding" in self.fields:
            return b"transfer-encoding: chunked\r\n"
        length = int(self.fields.get(b"content-length", b"0"))
        return b"content-length: %d\r\n" % length if length else b""

    def awaits_continue(self) -> bool:
        """True if the client sends the body only after "100 Continue"."""
        return self.version == "1.1" and self.fields.get(b"expect", b"").lower() == b"100-continue"

    @property
    def size(self) -> int:
        """The bytes of all headers."""
        return sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)

    def _check_repeated(self) -> None:
        names = [name for name, _ in self.headers]
        if names.count(b"host") > 1:
            raise NotServed(BAD_HOST)
        if names.count(b"transfer-encoding") > 1:
            raise NotServed(BAD_REQUEST)

    def _read_forwarded(self, scope: Scope, proxies: TrustedProxies) -> None:
        scheme = scheme_of(self.fields.get(b"x-forwarded-proto", b""))
        scope["scheme"] = scheme or "http"
        scope["client"] = proxies.client_of(self._values(b"x-forwarded-for")) or scope["client"]

    def _values(self, name: bytes) -> Iterator[bytes]:
        return (value for each, value in self.headers if each == name)


class Terms(Struct, frozen=True, gc=False):
    """Parts of a request's head that its reply depends on.

    `keeps_alive`: further requests may follow it. `awaits_continue`: the body comes only after "100 Continue".
    """

    method: str
    version: str
    keeps_alive: bool
    awaits_continue: bool = False


class RepeatedHead(Redacted, Struct, frozen=True):
    """A head that differs from one request of a connection to the next in its `content-length` alone.

    Programs send such heads. The first one was parsed, and has the `scope`; the others are compared with its bytes.
    """

    before: bytes
    """All that was sent before the digits of `content-length`."""

    after: bytes
    """All that was sent after them."""

    size_without_digits: int
    scope: dict[str, object]
    """The scope without headers, state and extensions."""

    headers: Headers
    length_at: int
    """The index of `content-length` in `headers`."""

    terms: Terms
    app: App
    """Answers such requests."""

    @classmethod
    def find(cls, head: bytes, scope: Scope, terms: Terms, app: App) -> "RepeatedHead | None":
        """Return the parts of a head that was parsed to `scope`; None for one that is long, or has no usual length.

        None also if `head` is more than a head, which ends with its first empty line. `app` answered the request, and
        the application behind it will answer the others: see `runtime.asgi.app_of`.
        """
        if len(head) > _MOST_REPEATED_BYTES or head.find(b"\r\n\r\n") + 4 != len(head):
            return None
        headers = [*cast("Headers", scope["headers"])]
        names, line = [name for name, _ in headers], _CONTENT_LENGTH.search(head)
        if line is None or names.count(b"content-length") != 1:
            return None
        common = {name: value for name, value in scope.items() if name not in ("headers", "state", "extensions")}
        before, after = head[: line.start(1)], head[line.end(1) :]
        length_at, answering = names.index(b"content-length"), app_of(app, scope)
        return cls(before, after, len(before) + len(after), common, headers, length_at, terms, answering)

    def read(self, data: bytes, state: dict[str, object]) -> tuple[Scope, bytes] | None:
        """Return the scope and the body, if `data` is one request: this head, and a body as long as it says."""
        body_and_digits = len(data) - self.size_without_digits
        # A length has as many digits as this sum, except just below a power of ten: then None is returned.
        length = body_and_digits - len(DIGITS[body_and_digits])
        digits = DIGITS[length]
        head = self.before + digits + self.after
        if not data.startswith(head) or len(head) + length != len(data):
            return None
        scope = self.scope.copy()
        scope["headers"] = headers = self.headers.copy()
        headers[self.length_at] = (b"content-length", digits)
        scope["state"] = state.copy()
        return scope, data[len(head) :]


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query of a target in one of the forms that RFC 9112, section 3.2 has for servers."""
    if target[:1] == b"/":
        path, _, query = target.partition(b"#")[0].partition(b"?")
        return path, query
    if target == b"*":
        return target, b""
    try:
        url = urlsplit(target)
    except ValueError:
        raise NotServed(BAD_TARGET) from None
    if url.scheme not in (b"http", b"https") or not url.netloc:
        raise NotServed(BAD_TARGET)
    return url.path or b"/", url.query
