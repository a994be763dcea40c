"""Who looks at the dashboard: an admin key, or a caller, whose virtual key or access token reads its workspaces."""

from tidegate.control.authorization import ADMIN_SECRET_PREFIX
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.restrictions import RequestSource
from tidegate.errors import InvalidKey
from tidegate.policy.auth.authenticator import Authenticator, bearer_token


def is_admin_credential(authorization: str | None) -> bool:
    """True if the header holds an admin key, by its form. Malformed headers are a caller's."""
    try:
        return bearer_token(authorization).startswith(ADMIN_SECRET_PREFIX)
    except InvalidKey:
        return False


async def authenticate_caller(
    authenticator: Authenticator, authorization: str | None, source: RequestSource
) -> AdminKey:
    """Return the rights of a caller: it may read its active workspaces, and change nothing.

    Raises what `Authenticator.list_workspaces` raises.
    """
    workspaces = await authenticator.list_workspaces(authorization, source=source)
    ids, key_id = tuple(workspace.id for workspace in workspaces), ""
    if ids:
        principal, _ = await authenticator.authenticate(authorization, ids[0], source=source)
        key_id = principal.key_id
    return AdminKey(key_id, "", "", ("read",), ids)
