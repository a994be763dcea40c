"""`python -m tidegate workspaces members …`: the people and service accounts of a workspace."""

import argparse

from tidegate.cli.connection import Ports
from tidegate.cli.output import Answer, columns
from tidegate.cli.workspaces import Verbs
from tidegate.control import members
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.managed_resources import Member
from tidegate.domain.record import iso_time

PAGE = 100


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`members list`, `members put`, `members remove`."""
    parser = verbs.add_parser("members", help="list, put and remove its members")
    inner = parser.add_subparsers(required=True, metavar="command")
    listing = inner.add_parser("list", parents=[common], help="list its members")
    put = inner.add_parser("put", parents=[common], help="add a member, or give it another role")
    remove = inner.add_parser("remove", parents=[common], help="remove a member")
    for each, command in ((listing, list_members), (put, put_member), (remove, remove_member)):
        each.add_argument("id", help="the workspace's id")
        each.set_defaults(command=command)
    for each in (put, remove):
        each.add_argument("subject", help="an e-mail address, or the subject of its tokens")
    put.add_argument("--role", choices=("reader", "admin"), required=True)


async def list_members(options: argparse.Namespace, ports: Ports) -> Answer:
    """All of them, by subject. Raises `NotFound`."""
    found: list[Member] = []
    while page := await members.page(ports.control, COMMAND_LINE, options.id, found[-1].subject if found else "", PAGE):
        found += page
    rows = [(each.subject, each.role, iso_time(each.created_at)) for each in found]
    text = columns(("SUBJECT", "ROLE", "SINCE"), rows) if rows else "The workspace has no members."
    return Answer([shown(each) for each in found], text)


async def put_member(options: argparse.Namespace, ports: Ports) -> Answer:
    """The member in that role. Raises `NotFound` and `InvalidRequest`."""
    asked = Member(options.id, options.subject, options.role)
    made, _ = await members.put(ports.control, COMMAND_LINE, asked)
    return Answer(shown(made), f"{made.subject} is {made.role} of {made.workspace_id}.")


async def remove_member(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound`."""
    await members.delete(ports.control, COMMAND_LINE, options.id, options.subject)
    data = {"workspace_id": options.id, "subject": options.subject, "status": "removed"}
    return Answer(data, f"{options.subject} is no longer a member of {options.id}.")
