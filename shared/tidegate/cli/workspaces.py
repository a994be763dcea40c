"""`python -m tidegate workspaces …`: tenants, as an operator manages them."""

import argparse
import re
from collections.abc import Sequence
from typing import Protocol

from tidegate.cli.connection import Ports
from tidegate.cli.limits import add_limits, said, with_limits
from tidegate.cli.options import add_options, with_options
from tidegate.cli.output import Answer, columns, pairs
from tidegate.control import workspaces
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.record import iso_time, periods
from tidegate.domain.workspace import Workspace
from tidegate.errors import AlreadyExists, InvalidRequest


class Verbs(Protocol):
    """What `add_subparsers` returns; argparse keeps its class private."""

    def add_parser(
        self, name: str, *, help: str, parents: Sequence[argparse.ArgumentParser] = ()
    ) -> argparse.ArgumentParser: ...


_ID = re.compile(r"ws_[A-Za-z0-9_-]{1,60}")


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`create`, `list`, `show`, `suspend`, `resume`."""
    create = verbs.add_parser("create", parents=[common], help="create a workspace")
    create.add_argument("name", help="what people call it")
    create.add_argument("--id", help="its id, ws_…; default: a random one")
    create.add_argument("--plan", metavar="ID", help="whose limits hold where it has no own")
    add_limits(create)
    add_options(create)
    create.set_defaults(command=create_workspace)
    verbs.add_parser("list", parents=[common], help="list all workspaces").set_defaults(command=list_workspaces)
    show = verbs.add_parser("show", parents=[common], help="show a workspace and what it used this month")
    show.set_defaults(command=show_workspace)
    suspend = verbs.add_parser("suspend", parents=[common], help="refuse its calls, within a minute")
    suspend.set_defaults(command=set_status, status="suspended")
    resume = verbs.add_parser("resume", parents=[common], help="take its calls again")
    resume.set_defaults(command=set_status, status="active")
    for parser in (show, suspend, resume):
        parser.add_argument("id", help="the workspace's id")


async def create_workspace(options: argparse.Namespace, ports: Ports) -> Answer:
    """A new workspace. Raises `InvalidRequest` when the id is malformed or taken."""
    if options.id and not _ID.fullmatch(options.id):
        raise InvalidRequest(f"{options.id!r} is no workspace id: ws_ and up to 60 letters, digits, - or _.")
    asked = Workspace(options.id or "", "", plan_id=options.plan, limits=with_limits(NO_LIMITS, options.limits))
    made = await _new(ports, with_options(asked, options))
    return Answer(shown(made), f"Created workspace {made.id}.")


async def _new(ports: Ports, asked: Workspace) -> Workspace:
    """At a terminal, also the same one again is a mistake. Raises `AlreadyExists`."""
    try:
        made, is_new = await workspaces.create(ports.control, COMMAND_LINE, asked)
    except AlreadyExists:
        is_new, made = False, asked
    if not is_new:
        raise AlreadyExists(f"The workspace {asked.id!r} exists already; it stays as it was.")
    return made


async def list_workspaces(options: argparse.Namespace, ports: Ports) -> Answer:
    """All workspaces, by id."""
    found = await ports.tenants.list_workspaces()
    rows = [(each.id, each.status, iso_time(each.created_at), each.name) for each in found]
    text = columns(("ID", "STATUS", "CREATED", "NAME"), rows) if rows else "There are no workspaces."
    return Answer([shown(each) for each in found], text)


async def show_workspace(options: argparse.Namespace, ports: Ports) -> Answer:
    """One workspace with the counters of the current calendar month. Raises `NotFound`."""
    workspace = await workspaces.find(ports.control, COMMAND_LINE, options.id)
    month, _ = periods(ports.clock())
    counters = await ports.usages.counters(workspace.id, month, workspace.shards) or {}
    name = month.removeprefix("M#")
    used = pairs([(label, str(value)) for label, value in counters.items()]) if counters else "nothing yet"
    data = {**shown(workspace), "month": name, "counters": counters}
    return Answer(data, f"{pairs(_lines(workspace))}\n\n{name}\n{used}")


async def set_status(options: argparse.Namespace, ports: Ports) -> Answer:
    """Suspend or resume. Raises `NotFound`."""
    made = await workspaces.set_status(ports.control, COMMAND_LINE, options.id, options.status)
    return Answer({"id": made.id, "status": made.status}, f"Workspace {made.id} is {made.status}.")


def _lines(workspace: Workspace) -> list[tuple[str, str]]:
    """What a person reads; `limits` are those that hold."""
    return [
        ("id", workspace.id),
        ("name", workspace.name),
        ("status", workspace.status),
        ("created_at", iso_time(workspace.created_at)),
        ("words_method", workspace.words_method),
        ("charge_input_words", str(workspace.charge_input_words)),
        ("plan", workspace.plan_id or "none"),
        ("limits", said(workspace.effective_limits)),
        ("first_day", str(workspace.first_day)),
        ("allows_unpriced", str(workspace.allows_unpriced)),
        ("lowers_max_tokens", str(workspace.lowers_max_tokens)),
        ("timeout_seconds", "none" if workspace.timeout_seconds is None else f"{workspace.timeout_seconds:g}"),
        ("cache_ttl_seconds", "none" if workspace.cache_ttl_seconds is None else str(workspace.cache_ttl_seconds)),
        ("routes", " ".join(route.name for route in workspace.routes) or "none"),
        ("guardrails", " ".join(guardrail.name for guardrail in workspace.guardrails) or "none"),
        ("shards", str(workspace.shards)),
        ("credentials", " ".join(each.name for each in workspace.credentials) or "none"),
    ]
