"""`python -m tidegate workspaces set | set-limits | set-plan`: what a workspace may use."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import Ports
from tidegate.cli.limits import add_limits, said, with_limits
from tidegate.cli.options import add_options, with_options
from tidegate.cli.output import Answer
from tidegate.cli.workspaces import Verbs
from tidegate.control import workspaces
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.workspace import Workspace


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`set`, `set-limits`, `set-plan`."""
    change = verbs.add_parser(
        "set", parents=[common], help="its name, how it counts, its routes, guardrails and shards"
    )
    limits = verbs.add_parser("set-limits", parents=[common], help="its own limits, which win over its plan's")
    plan = verbs.add_parser("set-plan", parents=[common], help="its plan, whose limits hold where it has no own")
    for parser in (change, limits, plan):
        parser.add_argument("id", help="the workspace's id")
        parser.add_argument("--force", action="store_true", help="also below what is used already")
    change.add_argument("--name", help="what people call it")
    add_options(change)
    change.set_defaults(command=set_options)
    add_limits(limits)
    limits.set_defaults(command=set_limits)
    plan.add_argument("plan", help="the plan's id, or none")
    plan.set_defaults(command=set_plan)


async def set_options(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` unless forced: other months may hold more."""
    before = await workspaces.find(ports.control, COMMAND_LINE, options.id, "write")
    made = await _changed(options, ports, before, with_options(before, options))
    return Answer(shown(made), f"Workspace {made.id} is changed. In force within a minute.")


async def set_limits(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` unless forced."""
    before = await workspaces.find(ports.control, COMMAND_LINE, options.id, "write")
    after = replace(before, limits=with_limits(before.limits, options.limits))
    return _said(await _changed(options, ports, before, after))


async def set_plan(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound`, `UnknownPlan`, and `LimitBelowUsed` unless forced."""
    before = await workspaces.find(ports.control, COMMAND_LINE, options.id, "write")
    after = replace(before, plan_id=None if options.plan == "none" else options.plan)
    return _said(await _changed(options, ports, before, after))


async def _changed(options: argparse.Namespace, ports: Ports, before: Workspace, after: Workspace) -> Workspace:
    return await workspaces.update(ports.control, COMMAND_LINE, before, after, None, force=options.force)


def _said(made: Workspace) -> Answer:
    text = f"Workspace {made.id}: {said(made.effective_limits)}. In force within a minute."
    return Answer(shown(made), text)
