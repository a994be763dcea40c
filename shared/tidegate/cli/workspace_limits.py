"""`python -m tidegate workspaces set | set-limits | set-plan`: a workspace's options, limits and plan."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import StorePorts
from tidegate.cli.limits import add_limits, as_options, with_limits
from tidegate.cli.options import add_options, with_options
from tidegate.cli.output import CommandOutput
from tidegate.cli.workspaces import Subparsers
from tidegate.control import workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.workspace import Workspace


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `set`, `set-limits` and `set-plan`."""
    change_help = "change its name, counting, routes, guardrails and other options"
    change = commands.add_parser("set", parents=[common], help=change_help)
    limits = commands.add_parser("set-limits", parents=[common], help="set its own limits, which override its plan's")
    plan_help = "set its plan, for the limits that it does not set itself"
    plan = commands.add_parser("set-plan", parents=[common], help=plan_help)
    for parser in (change, limits, plan):
        parser.add_argument("id", help="the workspace's id")
        parser.add_argument("--force", action="store_true", help="accept limits below what is used already")
    change.add_argument("--name", help="a display name")
    add_options(change)
    change.set_defaults(command=set_options)
    add_limits(limits)
    limits.set_defaults(command=set_limits)
    plan.add_argument("plan", help="the plan's id, plan_…; none: no plan")
    plan.set_defaults(command=set_plan)


async def set_options(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Change options. Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` (another first day) unless forced."""
    before = await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id, "write")
    workspace = await _update(options, ports, before, with_options(before, options))
    return CommandOutput(to_json(workspace), f"Changed workspace {workspace.id}, in force within a minute.")


async def set_limits(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Set the limits given. Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` unless forced."""
    before = await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id, "write")
    after = replace(before, limits=with_limits(before.limits, options.limits))
    return _output(await _update(options, ports, before, after))


async def set_plan(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Set or remove the plan. Raises `NotFound`, `UnknownPlan`, and `LimitBelowUsed` unless forced."""
    before = await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id, "write")
    after = replace(before, plan_id=None if options.plan == "none" else options.plan)
    return _output(await _update(options, ports, before, after))


async def _update(options: argparse.Namespace, ports: StorePorts, before: Workspace, after: Workspace) -> Workspace:
    force: bool = options.force
    return await workspaces.update_workspace(ports.control, COMMAND_LINE_ACTOR, before, after, None, force=force)


def _output(workspace: Workspace) -> CommandOutput:
    text = f"Workspace {workspace.id}: {as_options(workspace.effective_limits)}, in force within a minute."
    return CommandOutput(to_json(workspace), text)
