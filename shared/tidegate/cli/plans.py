"""`python -m tidegate plans …`: limits under a name, for many workspaces."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import Ports
from tidegate.cli.limits import add_limits, said, with_limits
from tidegate.cli.output import Answer, columns, pairs
from tidegate.cli.workspaces import Verbs
from tidegate.control import plans
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.managed_resources import Plan

PAGE = 100


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`create`, `list`, `show`, `set`."""
    create = verbs.add_parser("create", parents=[common], help="create a plan")
    verbs.add_parser("list", parents=[common], help="list all plans").set_defaults(command=list_plans)
    show = verbs.add_parser("show", parents=[common], help="show a plan's limits")
    change = verbs.add_parser("set", parents=[common], help="change its limits, and those of its workspaces")
    for parser in (create, show, change):
        parser.add_argument("id", help="the plan's id")
    create.add_argument("--name", help="what people call it; default: its id")
    for parser, command in ((create, create_plan), (change, set_plan)):
        add_limits(parser)
        parser.set_defaults(command=command)
    show.set_defaults(command=show_plan)


async def create_plan(options: argparse.Namespace, ports: Ports) -> Answer:
    """A new plan; the same again is no error. Raises `InvalidRequest`."""
    asked = Plan(options.id, options.name or options.id, with_limits(NO_LIMITS, options.limits))
    made, is_new = await plans.create(ports.control, COMMAND_LINE, asked)
    return Answer(shown(made), f"Created plan {made.id}." if is_new else f"The plan {made.id} is there already.")


async def list_plans(options: argparse.Namespace, ports: Ports) -> Answer:
    """All plans, by id."""
    found: list[Plan] = []
    while page := await plans.page(ports.control, COMMAND_LINE, found[-1].id if found else "", PAGE):
        found += page
    rows = [(plan.id, plan.name, said(plan.limits)) for plan in found]
    text = columns(("ID", "NAME", "LIMITS"), rows) if rows else "There are no plans."
    return Answer([shown(plan) for plan in found], text)


async def show_plan(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound`."""
    plan = await plans.find(ports.control, COMMAND_LINE, options.id)
    return Answer(shown(plan), pairs([("id", plan.id), ("name", plan.name), ("limits", said(plan.limits))]))


async def set_plan(options: argparse.Namespace, ports: Ports) -> Answer:
    """The plan with other limits, copied to its workspaces. Raises `NotFound` and `InvalidRequest`."""
    before = await plans.find(ports.control, COMMAND_LINE, options.id)
    after = replace(before, limits=with_limits(before.limits, options.limits))
    changed, spread = await plans.update(ports.control, COMMAND_LINE, before, after, None)
    text = f"Plan {changed.id}: {said(changed.limits)}. In force in {spread.updated} workspaces"
    waiting = f"; say it again later for {', '.join(spread.pending)}, which have open calls." if spread.pending else "."
    return Answer({**shown(changed), "updated": spread.updated, "pending": list(spread.pending)}, text + waiting)
