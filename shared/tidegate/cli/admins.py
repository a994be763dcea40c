"""`python -m tidegate admin-keys …`: who may use the admin API. The first key can only come from here."""

import argparse

from tidegate.cli.connection import Ports
from tidegate.cli.dates import moment
from tidegate.cli.output import Answer, columns
from tidegate.cli.workspaces import Verbs
from tidegate.control import admins
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.managed_resources import AdminKey

PAGE = 100


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`create`, `list`, `revoke`."""
    create = verbs.add_parser("create", parents=[common], help="create an admin key, and show its secret once")
    create.add_argument("--name", default="", help="what people call the key")
    create.add_argument("--read-only", action="store_true", help="it may look, and change nothing")
    create.add_argument(
        "--workspace", dest="workspaces", metavar="ID", action="append", help="for these only; default: all of them"
    )
    create.add_argument("--expires", metavar="DATE", type=moment, help="ISO 8601, UTC unless it says otherwise")
    create.set_defaults(command=create_admin)
    verbs.add_parser("list", parents=[common], help="list admin keys").set_defaults(command=list_admins)
    revoke = verbs.add_parser("revoke", parents=[common], help="refuse an admin key")
    revoke.add_argument("id", help="the key's id, adm_…")
    revoke.set_defaults(command=revoke_admin)


async def create_admin(options: argparse.Namespace, ports: Ports) -> Answer:
    """A new admin key and its secret, which is nowhere else. Raises `InvalidRequest`, and `NotFound`."""
    asked = AdminKey(
        id="",
        hash="",
        prefix="",
        scopes=("read",) if options.read_only else ("read", "write"),
        workspace_ids=tuple(dict.fromkeys(options.workspaces)) if options.workspaces else None,
        name=options.name,
        expires_at=options.expires,
    )
    made, secret = await admins.create(ports.control, COMMAND_LINE, asked)
    text = f"Created admin key {made.id}.\n\n    {secret}\n\nIt is not shown again: keep it now."
    return Answer({**shown(made), "secret": secret}, text)


async def list_admins(options: argparse.Namespace, ports: Ports) -> Answer:
    """All of them, by id."""
    found: list[AdminKey] = []
    while page := await admins.page(ports.control, COMMAND_LINE, found[-1].id if found else "", PAGE):
        found += page
    rows = [
        (
            each.id,
            f"{each.prefix}…",
            each.status,
            ",".join(each.scopes),
            ",".join(each.workspace_ids or ("all",)),
            each.name,
        )
        for each in found
    ]
    head = ("ID", "KEY", "STATUS", "SCOPES", "WORKSPACES", "NAME")
    return Answer([shown(each) for each in found], columns(head, rows) if rows else "There are no admin keys.")


async def revoke_admin(options: argparse.Namespace, ports: Ports) -> Answer:
    """The key, which opens nothing from now on. Raises `NotFound`."""
    revoked = await admins.revoke(ports.control, COMMAND_LINE, options.id)
    return Answer(shown(revoked), f"Admin key {revoked.id} is revoked.")
