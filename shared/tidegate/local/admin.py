"""The admin API beside the data plane: routes requests to one of them, and creates the demo admin key."""

from contextlib import suppress

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.admin.app import PREFIX
from tidegate.control.admins import with_secret
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.managed_resources import AdminKey
from tidegate.errors import AlreadyExists
from tidegate.local.openapi_routes import ADMIN_DOCS


class PlaneRouter(Struct, frozen=True):
    """ASGI application that routes /admin/v1 to `admin`, and the rest, such as its documentation, to `gateway`."""

    gateway: ASGIApp
    admin: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http" and scope["path"] != ADMIN_DOCS
        is_admin = is_http and f"{scope['path']}/".startswith(f"{PREFIX}/")
        await (self.admin if is_admin else self.gateway)(scope, receive, send)


async def create_demo_admin(control: Control, secret: str) -> None:
    """Create the demo admin key, unless it exists. Never called for a table on AWS."""
    demo_admin = AdminKey("", "", "", ("read", "write"), name="demo", created_at=control.clock())
    with suppress(AlreadyExists):
        await control.apply_change(COMMAND_LINE_ACTOR, "create", None, with_secret(secret, demo_admin))
