"""The admin API and the dashboard beside the data plane: routes requests to one of them."""

from collections.abc import Awaitable

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.admin.app import PREFIX
from tidegate.api.console.static_files import PATH as CONSOLE
from tidegate.local.openapi_routes import ADMIN_DOCS

_ADMIN_PATHS = f"{PREFIX}/", CONSOLE


class PlaneRouter(Struct, frozen=True):
    """ASGI application that routes /admin/v1 and /console to `admin`, and the rest, such as docs, to `gateway`."""

    gateway: ASGIApp
    admin: ASGIApp

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_http = scope["type"] == "http" and scope["path"] != ADMIN_DOCS
        is_admin = is_http and f"{scope['path']}/".startswith(_ADMIN_PATHS)
        return (self.admin if is_admin else self.gateway)(scope, receive, send)
