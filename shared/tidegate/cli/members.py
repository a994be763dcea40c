"""`python -m tidegate workspaces members …`: the members of a workspace."""

import argparse

from tidegate.cli.connection import StorePorts
from tidegate.cli.output import CommandOutput, columns, show_help
from tidegate.cli.workspaces import Subparsers
from tidegate.control import members
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.managed_resources import Member
from tidegate.domain.record import iso_time

PAGE_SIZE = 100


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `members list`, `members put` and `members remove`."""
    parser = commands.add_parser("members", help="list, add and remove a workspace's members")
    parser.set_defaults(run=show_help(parser))
    actions = parser.add_subparsers(metavar="command")
    list_parser = actions.add_parser("list", parents=[common], help="list all members")
    put = actions.add_parser("put", parents=[common], help="add a member, or change a member's role")
    remove = actions.add_parser("remove", parents=[common], help="remove a member")
    for each, command in ((list_parser, list_members), (put, put_member), (remove, remove_member)):
        each.add_argument("id", help="the workspace's id")
        each.set_defaults(command=command)
    for each in (put, remove):
        each.add_argument("subject", help="the member's e-mail address, or the subject of its tokens")
    put.add_argument("--role", choices=("reader", "admin"), required=True, help="the member's role")


async def list_members(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List all members, by subject. Raises `NotFound`."""
    all_members: list[Member] = []
    while page := await members.list_members(
        ports.control, COMMAND_LINE_ACTOR, options.id, all_members[-1].subject if all_members else "", PAGE_SIZE
    ):
        all_members += page
    rows = [(each.subject, each.role, iso_time(each.created_at)) for each in all_members]
    text = columns(("SUBJECT", "ROLE", "SINCE"), rows) if rows else "The workspace has no members."
    return CommandOutput([to_json(each) for each in all_members], text)


async def put_member(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Add the member or change its role. Raises `NotFound` and `InvalidRequest`."""
    requested = Member(options.id, options.subject, options.role)
    member, _ = await members.put_member(ports.control, COMMAND_LINE_ACTOR, requested)
    return CommandOutput(to_json(member), f"{member.subject} is {member.role} of {member.workspace_id}.")


async def remove_member(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Remove the member. Raises `NotFound`."""
    await members.delete_member(ports.control, COMMAND_LINE_ACTOR, options.id, options.subject)
    data = {"workspace_id": options.id, "subject": options.subject, "status": "removed"}
    return CommandOutput(data, f"{options.subject} is no longer a member of {options.id}.")
