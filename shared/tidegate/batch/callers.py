"""Decides who pays for a batch, from its workspace and its key as they are stored now."""

from tidegate.domain.identity import SUBJECT_PREFIX
from tidegate.domain.keys import is_usable
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.errors import InvalidKey, WorkspaceForbidden

EVENT_KEY_ID = "batch"
"""The key id in records of batches that came as an event, and so without a key."""


def check_caller(
    workspace: Workspace | None, key_id: str | None, key: VirtualKey | None, now: float, *, has_claims: bool
) -> tuple[Principal, Workspace]:
    """The principal and the workspace of a batch. `key` is the workspace's key `key_id`, None if it does not exist.

    Grants of OIDC subjects are keys, too. With `has_claims`, access tokens name their workspaces themselves, and no
    grant is stored: a subject without one goes on without limits of its own. Its token was valid when the batch was
    created, and cannot be asked for again; the workspace's suspension, or a cancellation, stops its batch.

    Raises `WorkspaceForbidden` and `InvalidKey`.
    """
    if workspace is None or workspace.status != "active":
        raise WorkspaceForbidden("The workspace of this batch is unknown or suspended.")
    if key_id is None:
        return Principal(EVENT_KEY_ID, (workspace.id,)), workspace
    if key is None and has_claims and key_id.startswith(SUBJECT_PREFIX):
        return Principal(key_id, (workspace.id,)), workspace
    if key is None or not is_usable(key, now):
        raise InvalidKey("The key that created this batch is unknown, revoked or expired.")
    return Principal(key.id, key.workspace_ids, key.limits), workspace
