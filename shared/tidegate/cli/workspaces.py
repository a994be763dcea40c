"""`python -m tidegate workspaces create | list | show | suspend | resume`: the workspaces themselves."""

import argparse
import re
from collections.abc import Sequence
from typing import Protocol

from tidegate.cli.connection import StorePorts
from tidegate.cli.limits import add_limits, as_options, with_limits
from tidegate.cli.options import add_options, with_options
from tidegate.cli.output import CommandOutput, columns, pairs
from tidegate.control import workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.record import counter_periods, iso_time
from tidegate.domain.workspace import Workspace
from tidegate.errors import AlreadyExists, InvalidRequest


class Subparsers(Protocol):
    """The type that `add_subparsers` returns; argparse keeps its class private."""

    def add_parser(
        self, name: str, *, help: str, parents: Sequence[argparse.ArgumentParser] = ()
    ) -> argparse.ArgumentParser: ...


_ID = re.compile(r"ws_[A-Za-z0-9_-]{1,60}")


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `create`, `list`, `show`, `suspend` and `resume`."""
    create = commands.add_parser("create", parents=[common], help="create a workspace")
    create.add_argument("name", help="a display name")
    create.add_argument("--id", help="the id, ws_…; default: a random id")
    create.add_argument("--plan", metavar="ID", help="the plan for limits that it does not set itself")
    add_limits(create)
    add_options(create)
    create.set_defaults(command=create_workspace)
    commands.add_parser("list", parents=[common], help="list all workspaces").set_defaults(command=list_workspaces)
    show = commands.add_parser("show", parents=[common], help="show a workspace and its usage of this month")
    show.set_defaults(command=show_workspace)
    suspend = commands.add_parser("suspend", parents=[common], help="refuse its calls, within a minute")
    suspend.set_defaults(command=set_status, status="suspended")
    resume = commands.add_parser("resume", parents=[common], help="accept its calls again")
    resume.set_defaults(command=set_status, status="active")
    for parser in (show, suspend, resume):
        parser.add_argument("id", help="the workspace's id")


async def create_workspace(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Create a workspace. Raises `InvalidRequest` if the id is malformed or taken."""
    if options.id and not _ID.fullmatch(options.id):
        raise InvalidRequest(f"{options.id!r} is not a valid id: use ws_ and 1 to 60 letters, digits, - or _.")
    requested = Workspace(options.id or "", "", plan_id=options.plan, limits=with_limits(NO_LIMITS, options.limits))
    workspace = await _create_new(ports, with_options(requested, options))
    return CommandOutput(to_json(workspace), f"Created workspace {workspace.id}.")


async def _create_new(ports: StorePorts, requested: Workspace) -> Workspace:
    """Create the workspace. Raises `AlreadyExists` also for an equal one: at a terminal, that is a mistake."""
    try:
        workspace, is_new = await workspaces.create_workspace(ports.control, COMMAND_LINE_ACTOR, requested)
    except AlreadyExists:
        is_new, workspace = False, requested
    if not is_new:
        raise AlreadyExists(f"The workspace {requested.id!r} exists already, and was not changed.")
    return workspace


async def list_workspaces(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List all workspaces, by id."""
    all_workspaces = await ports.tenants.list_workspaces()
    rows = [(each.id, each.status, iso_time(each.created_at), each.name) for each in all_workspaces]
    text = columns(("ID", "STATUS", "CREATED", "NAME"), rows) if rows else "There are no workspaces."
    return CommandOutput([to_json(each) for each in all_workspaces], text)


async def show_workspace(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Show a workspace with the counters of the current calendar month. Raises `NotFound`."""
    workspace = await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id)
    month, _ = counter_periods(ports.clock())
    counters = await ports.usages.counters(workspace.id, month, workspace.shards) or {}
    name = month.removeprefix("M#")
    counters_text = pairs(list(counters.items())) if counters else "no usage yet"
    data = {**to_json(workspace), "month": name, "counters": counters}
    return CommandOutput(data, f"{pairs(_describe(workspace))}\n\n{name}\n{counters_text}")


async def set_status(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Suspend or resume the workspace. Raises `NotFound`."""
    workspace = await workspaces.set_workspace_status(ports.control, COMMAND_LINE_ACTOR, options.id, options.status)
    data = {"id": workspace.id, "status": workspace.status}
    return CommandOutput(data, f"Workspace {workspace.id} is {workspace.status}.")


def _describe(workspace: Workspace) -> list[tuple[str, object]]:
    """Return names and values to print; `limits` are the effective limits, with those of the plan."""
    return [
        ("id", workspace.id),
        ("name", workspace.name),
        ("status", workspace.status),
        ("created_at", iso_time(workspace.created_at)),
        ("words_method", workspace.words_method),
        ("charge_input_words", workspace.charge_input_words),
        ("plan", workspace.plan_id),
        ("limits", as_options(workspace.effective_limits)),
        ("first_day", workspace.first_day),
        ("allows_unpriced", workspace.allows_unpriced),
        ("lowers_max_tokens", workspace.lowers_max_tokens),
        ("adds_max_tokens", workspace.adds_max_tokens),
        ("timeout_seconds", workspace.timeout_seconds),
        ("cache_ttl_seconds", workspace.cache_ttl_seconds),
        ("routes", " ".join(route.name for route in workspace.routes) or "none"),
        ("guardrails", " ".join(guardrail.name for guardrail in workspace.guardrails) or "none"),
        ("batch_webhook", workspace.batch_webhook),
        ("batch_mode", workspace.batch_mode),
        ("trace_sample", workspace.trace_sample),
        ("trace_failures", workspace.trace_failures),
        ("trace_callers", workspace.trace_callers),
        ("trace_days", workspace.trace_days),
        ("trace_mask", " ".join(workspace.trace_mask) or "none"),
        ("shards", workspace.shards),
        ("credentials", " ".join(each.name for each in workspace.credentials) or "none"),
    ]
