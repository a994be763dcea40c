"""`python -m tidegate plans …`: named limits that many workspaces share."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import StorePorts
from tidegate.cli.limits import add_limits, as_options, with_limits
from tidegate.cli.output import CommandOutput, columns, pairs
from tidegate.cli.workspaces import Subparsers
from tidegate.control import plans
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.managed_resources import Plan

PAGE_SIZE = 100


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `create`, `list`, `show`, `set` and `delete`."""
    create = commands.add_parser("create", parents=[common], help="create a plan")
    commands.add_parser("list", parents=[common], help="list all plans").set_defaults(command=list_plans)
    show = commands.add_parser("show", parents=[common], help="show a plan and its limits")
    delete = commands.add_parser("delete", parents=[common], help="delete a plan that no workspace is on")
    delete.set_defaults(command=delete_plan)
    change = commands.add_parser("set", parents=[common], help="change a plan's limits, for all workspaces on the plan")
    for parser in (create, show, change, delete):
        parser.add_argument("id", help="the plan's id, plan_…")
    create.add_argument("--name", help="a display name; default: the id")
    for parser, command in ((create, create_plan), (change, set_plan)):
        add_limits(parser)
        parser.set_defaults(command=command)
    show.set_defaults(command=show_plan)


async def create_plan(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Create a plan. Creating an equal plan again is not an error. Raises `InvalidRequest`."""
    requested = Plan(options.id, options.name or options.id, with_limits(NO_LIMITS, options.limits))
    plan, is_new = await plans.create_plan(ports.control, COMMAND_LINE_ACTOR, requested)
    return CommandOutput(to_json(plan), f"Created plan {plan.id}." if is_new else f"Plan {plan.id} exists already.")


async def list_plans(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List all plans, by id."""
    all_plans: list[Plan] = []
    while page := await plans.list_plans(
        ports.control, COMMAND_LINE_ACTOR, all_plans[-1].id if all_plans else "", PAGE_SIZE
    ):
        all_plans += page
    rows = [(plan.id, plan.name, as_options(plan.limits)) for plan in all_plans]
    text = columns(("ID", "NAME", "LIMITS"), rows) if rows else "There are no plans."
    return CommandOutput([to_json(plan) for plan in all_plans], text)


async def show_plan(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Show the plan. Raises `NotFound`."""
    plan = await plans.find_plan(ports.control, COMMAND_LINE_ACTOR, options.id)
    text = pairs([("id", plan.id), ("name", plan.name), ("limits", as_options(plan.limits))])
    return CommandOutput(to_json(plan), text)


async def set_plan(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Change the plan's limits and copy them to its workspaces. Raises `NotFound` and `InvalidRequest`."""
    before = await plans.find_plan(ports.control, COMMAND_LINE_ACTOR, options.id)
    after = replace(before, limits=with_limits(before.limits, options.limits))
    plan, rollout = await plans.update_plan(ports.control, COMMAND_LINE_ACTOR, before, after, None)
    data = {**to_json(plan), "updated": rollout.updated, "pending": list(rollout.pending)}
    text = f"Plan {plan.id}: {as_options(plan.limits)}. Workspaces updated: {rollout.updated}"
    if rollout.pending:
        text += f"; repeat the command later for {', '.join(rollout.pending)}, which have calls running"
    return CommandOutput(data, f"{text}.")


async def delete_plan(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Delete the plan. Raises `NotFound`, and `Conflict` while a workspace is on it."""
    plan = await plans.delete_plan(ports.control, COMMAND_LINE_ACTOR, options.id)
    return CommandOutput({"id": plan.id}, f"Plan {plan.id} is deleted.")
