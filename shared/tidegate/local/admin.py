"""The admin API and the dashboard beside the data plane: routes requests to one of them."""

from collections.abc import Awaitable

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.admin.app import PREFIX
from tidegate.api.console.static_files import PATH as CONSOLE
from tidegate.local.openapi_routes import ADMIN_DOCS
from tidegate.runtime.asgi import app_of

_ADMIN_PATHS = f"{PREFIX}/", CONSOLE
_BEGINNINGS = PREFIX, CONSOLE.rstrip("/")
"""How the paths of `admin` begin, and few others."""


class PlaneRouter(Struct, frozen=True):
    """ASGI application that routes /admin/v1 and /console to `admin`, and the rest, such as docs, to `gateway`."""

    gateway: ASGIApp
    admin: ASGIApp

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.app_of(scope)(scope, receive, send)

    def app_of(self, scope: Scope) -> ASGIApp:
        """Return the application that answers the request: see `runtime.asgi.app_of`."""
        if scope["type"] == "http" and scope["path"].startswith(_BEGINNINGS) and _is_admin_path(scope["path"]):
            return self.admin
        return app_of(self.gateway, scope)


def _is_admin_path(path: str) -> bool:
    return path != ADMIN_DOCS and f"{path}/".startswith(_ADMIN_PATHS)
