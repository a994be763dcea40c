"""Admits who looks at the dashboard: an admin key with its own rights, or a caller, who may only read."""

from starlette.requests import Request

from tidegate.api.source import source_of
from tidegate.control.viewers import authenticate_caller, is_admin_credential
from tidegate.domain.managed_resources import AdminKey
from tidegate.policy.auth.authenticator import Authenticator

PREFIX = "/console/v1"


def is_console_path(path: str) -> bool:
    return f"{path}/".startswith(f"{PREFIX}/")


async def find_caller(request: Request) -> AdminKey | None:
    """Return the rights of a caller; None if an admin key was sent, or this process admits admin keys alone.

    Raises `InvalidKey`, `TooManyFailures`, and the errors of keys that may not be used here.
    """
    authorization = request.headers.get("authorization")
    # Not the path of `request.url`, which is made of the Host header, too.
    if not is_console_path(request.scope["path"]) or is_admin_credential(authorization):
        return None
    authenticator: Authenticator | None = request.app.state.authenticator
    workspace_id = request.query_params.get("workspace")
    return authenticator and await authenticate_caller(
        authenticator, authorization, source_of(request.scope), workspace_id
    )
