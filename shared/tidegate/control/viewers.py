"""Who looks at the dashboard: an admin key, or a caller, whose virtual key or access token reads its workspaces."""

from tidegate.control.authorization import ADMIN_SECRET_PREFIX, COMMAND_LINE_ACTOR
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import RequestSource
from tidegate.errors import InvalidKey
from tidegate.policy.auth.authenticator import Authenticator, bearer_token


class Caller(AdminKey, frozen=True):
    """The rights of a caller, whose `id` is that of its key. It reads its key's traces since `traces_since`."""

    traces_since: float = 0.0


def is_admin_credential(authorization: str | None) -> bool:
    """True if the header holds an admin key, by its form. Malformed headers are a caller's."""
    try:
        return bearer_token(authorization).startswith(ADMIN_SECRET_PREFIX)
    except InvalidKey:
        return False


def is_caller(actor: AdminKey) -> bool:
    """True for the rights of a caller, whose `id` is that of its key: admin keys have a hash."""
    return not actor.hash and actor.id != COMMAND_LINE_ACTOR.id


async def authenticate_caller(
    authenticator: Authenticator, authorization: str | None, source: RequestSource, workspace_id: str | None = None
) -> Caller:
    """Return the rights of a caller: it may read its active workspaces, and change nothing.

    `id` is its key's in the workspace that it names, if it is one of its own: a subject may have several grants.
    Raises what `Authenticator.list_workspaces` raises.
    """
    workspaces = await authenticator.list_workspaces(authorization, source=source)
    ids, key_id, traces_since = tuple(workspace.id for workspace in workspaces), "", 0.0
    if ids:
        named_id = workspace_id if workspace_id in ids else ids[0]
        principal, _ = await authenticator.authenticate(authorization, named_id, source=source)
        key_id, traces_since = principal.key_id, principal.traces_since
    return Caller(key_id, "", "", ("read",), ids, traces_since=traces_since)
