"""Refuses requests for other hosts: a web page whose name was made to point here could otherwise use the server.

Source: https://en.wikipedia.org/wiki/DNS_rebinding
"""

import re
import time
from collections.abc import Awaitable, Iterable
from ipaddress import ip_address

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.reply import send_json
from tidegate.domain.ids import ulid
from tidegate.errors import PermissionDenied
from tidegate.runtime.asgi import app_of

ALLOWED_HOSTS_SETTING = "TIDEGATE_ALLOWED_HOSTS"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, not bound
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.ASCII)


class HostNotAllowed(PermissionDenied):
    """The request is for a host that the local server does not serve."""

    code = "host_not_allowed"


class AllowedHosts(Struct, frozen=True):
    """Names that may be in the Host header. `allows_addresses`: also every IP address, which nobody can rebind."""

    names: frozenset[str]
    allows_addresses: bool = False

    def allow(self, headers: Iterable[str]) -> bool:
        """True for exactly one Host header with an allowed name, whatever its port."""
        values = list(headers)
        match = _HOST.fullmatch(values[0].lower()) if len(values) == 1 else None
        if match is None:
            return False
        name = match[1]
        return name in self.names or "*" in self.names or (self.allows_addresses and is_address(name))


def allowed_hosts(host: str, setting: str = "") -> AllowedHosts:
    """Return the hosts of a server that listens at `host`; `setting` lists more, separated by commas, or is "*"."""
    more = {name.strip().lower() for name in setting.split(",") if name.strip()}
    own = f"[{host}]" if ":" in host else host
    return AllowedHosts(_LOOPBACK | {own.lower()} | more, is_wildcard(host))


def is_wildcard(host: str) -> bool:
    """True for an address that listens on all interfaces."""
    return host in _WILDCARDS


def is_address(name: str) -> bool:
    """True for an IP address; one of IPv6 has brackets."""
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class HostCheck:
    """ASGI middleware: answers 403 if the Host header is not one of `hosts`."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app, self._hosts = app, hosts
        self._last_allowed: list[bytes] | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.app_of(scope)(scope, receive, send)

    def app_of(self, scope: Scope) -> ASGIApp:
        """Return the application that answers the request: see `runtime.asgi.app_of`."""
        if scope["type"] == "http":
            values = [value for name, value in scope["headers"] if name == b"host"]
            if values != self._last_allowed:
                if not self._hosts.allow(value.decode("latin-1") for value in values):
                    return _refuse
                self._last_allowed = values
        return app_of(self._app, scope)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    error = HostNotAllowed(
        "This server does not serve the host that the request names. If the name is yours, add it to "
        f"{ALLOWED_HOSTS_SETTING}."
    )
    await send_json(send, error.status, errors.body(error), [(b"x-request-id", ulid(time.time()).encode())])
