"""`python -m tidegate keys create | set`: what keys open, from where, how long and how much."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import Ports
from tidegate.cli.dates import moment
from tidegate.cli.limits import add_limits, with_limits
from tidegate.cli.output import Answer
from tidegate.cli.workspaces import Verbs
from tidegate.control import keys
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.keys import subject_key
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import AlreadyExists, InvalidRequest


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`create`, `set`."""
    create = verbs.add_parser("create", parents=[common], help="create a key, and show its secret once")
    create.add_argument(
        "--workspace",
        dest="workspaces",
        metavar="ID",
        action="append",
        required=True,
        help="may be given several times",
    )
    create.add_argument("--subject", help="give the workspaces to a subject of OIDC tokens instead: no secret is made")
    create.add_argument("--issuer", metavar="URL", help="who gives out the subject's tokens, as TIDEGATE_OIDC_ISSUER")
    create.set_defaults(command=create_key)
    change = verbs.add_parser("set", parents=[common], help="change what a key opens")
    change.add_argument("id", help="the key's id, key_…")
    change.add_argument("--workspace", metavar="ID", required=True, help="a workspace of the key")
    change.add_argument("--force", action="store_true", help="also below what is used already")
    change.set_defaults(command=set_key)
    for parser in (create, change):
        _add_grants(parser)


def _add_grants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--default", metavar="ID", help="the workspace of calls that name none; none: there is none")
    parser.add_argument("--name", help="what people call the key")
    parser.add_argument(
        "--endpoint",
        dest="endpoints",
        metavar="PATTERN",
        action="append",
        help="a path that it may be used for, like '/v1/chat/*'; may be given several times; default: any",
    )
    parser.add_argument(
        "--network",
        dest="networks",
        metavar="CIDR",
        action="append",
        help="where it may be used from, like 203.0.113.0/24; may be given several times; default: any",
    )
    parser.add_argument("--expires", metavar="DATE", type=_end, help="ISO 8601, UTC unless it says otherwise; or never")
    add_limits(parser)


def _end(text: str) -> float | str:
    return text if text == "never" else moment(text)


async def create_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """A new key and its secret, which is nowhere else; an OIDC subject's has none.

    Raises `InvalidRequest`, and `NotFound` for a workspace.
    """
    asked = _asked(options)
    if options.subject is not None:
        return await _give(ports, asked, options.issuer, options.subject)
    made = await keys.create(ports.control, COMMAND_LINE, asked)
    text = (
        f"Created key {made.key.id} for {', '.join(asked.workspace_ids)}.\n\n    {made.secret}\n\n"
        "It is not shown again: keep it now."
    )
    return Answer({**shown(made.key), "secret": made.secret}, text)


def _asked(options: argparse.Namespace) -> VirtualKey:
    """Faults in the words of the options; the control plane finds all others. Raises `InvalidRequest`."""
    if (options.subject is None) != (options.issuer is None):
        raise InvalidRequest("A subject is one of an issuer: --subject and --issuer go together.")
    if options.subject is not None and not 0 < len(options.subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"A subject has 1 to {MAX_SUBJECT} characters.")
    workspace_ids: tuple[str, ...] = tuple(dict.fromkeys(options.workspaces))
    if len(workspace_ids) > keys.MAX_WORKSPACES:
        raise InvalidRequest(f"A key may have {keys.MAX_WORKSPACES} workspaces; these are {len(workspace_ids)}.")
    if options.default not in (None, "none", *workspace_ids):
        raise InvalidRequest(
            f"The default workspace {options.default!r} is not among the key's: add --workspace for it."
        )
    return _with(VirtualKey("", "", "", workspace_ids, None), options)


async def set_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """The key with what was said. Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` unless forced."""
    before = await keys.find(ports.control, COMMAND_LINE, options.workspace, options.id)
    after = _with(before, options)
    made = await keys.update(ports.control, COMMAND_LINE, before, after, None, force=options.force)
    return Answer(shown(made), f"Key {made.id} is changed. In force within a minute.")


def _with(key: VirtualKey, options: argparse.Namespace) -> VirtualKey:
    """`key` with what was said. The words that take something away are no ids, dates, paths or networks."""
    words = (
        ("default_workspace_id", options.default, "none"),
        ("expires_at", options.expires, "never"),
        ("endpoints", options.endpoints, ["any"]),
        ("networks", options.networks, ["any"]),
    )
    said = {name: None if value == nothing else _kept(value) for name, value, nothing in words if value is not None}
    name = key.name if options.name is None else options.name
    return replace(key, name=name, limits=with_limits(key.limits, options.limits), **said)


def _kept(value: str | float | list[str]) -> str | float | tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value


async def _give(ports: Ports, asked: VirtualKey, issuer: str, subject: str) -> Answer:
    try:
        key = await keys.give(ports.control, COMMAND_LINE, asked, issuer, subject)
    except AlreadyExists:
        id = subject_key(issuer, subject, asked.workspace_ids).id
        raise AlreadyExists(f"The subject has workspaces already: revoke {id!r} first.") from None
    return Answer(shown(key), f"The subject opens {', '.join(key.workspace_ids)} now, as {key.id}.")
