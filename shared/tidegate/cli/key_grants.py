"""`python -m tidegate keys create | set`: a key's workspaces, endpoints, networks, expiry and limits."""

import argparse

from msgspec.structs import replace

from tidegate.cli.connection import StorePorts
from tidegate.cli.dates import parse_time
from tidegate.cli.limits import add_limits, with_limits
from tidegate.cli.output import CommandOutput
from tidegate.cli.workspaces import Subparsers
from tidegate.control import keys
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import InvalidRequest


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `create` and `set`."""
    create = commands.add_parser("create", parents=[common], help="create a key and show its secret once")
    help_text = "a workspace of the key; can be repeated"
    create.add_argument("--workspace", dest="workspaces", metavar="ID", action="append", required=True, help=help_text)
    create.add_argument("--subject", help="create the key of this OIDC subject: no secret is created")
    create.add_argument("--issuer", metavar="URL", help="the issuer of its tokens, as in TIDEGATE_OIDC_ISSUER")
    create.set_defaults(command=create_key)
    change = commands.add_parser("set", parents=[common], help="change a key's limits and restrictions")
    change.add_argument("id", help="the key's id, key_…")
    change.add_argument("--workspace", metavar="ID", required=True, help="a workspace of the key")
    change.add_argument("--force", action="store_true", help="accept limits below what is used already")
    change.set_defaults(command=set_key)
    for parser in (create, change):
        _add_grant_options(parser)


def _add_grant_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--default", metavar="ID", help="the workspace of calls that do not name one; none: no default")
    parser.add_argument("--name", help="a display name")
    endpoint_help = "a path that the key may call, e.g. '/v1/chat/*'; can be repeated; any: all paths (default)"
    parser.add_argument("--endpoint", dest="endpoints", metavar="PATTERN", action="append", help=endpoint_help)
    network_help = "a network that the key may be used from, e.g. 203.0.113.0/24; can be repeated; any: all (default)"
    parser.add_argument("--network", dest="networks", metavar="CIDR", action="append", help=network_help)
    expiry_help = "when the key expires: ISO 8601, UTC by default; or never"
    parser.add_argument("--expires", metavar="DATE", type=_parse_expiry, help=expiry_help)
    sample_help = "the part of its calls whose content is kept as traces, 0 to 1; workspace: its workspace's (default)"
    parser.add_argument("--trace-sample", metavar="SHARE", type=_parse_sample, help=sample_help)
    add_limits(parser)


def _parse_sample(text: str) -> float | str:
    try:
        return text if text == "workspace" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write a number from 0 to 1, or workspace") from None


def _parse_expiry(text: str) -> float | str:
    return text if text == "never" else parse_time(text)


async def create_key(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Create a key and print its secret; a subject's key has none. Raises `InvalidRequest`, `NotFound`."""
    requested = _requested_key(options)
    if options.subject is not None:
        return await _create_for_subject(ports, requested, options.issuer, options.subject)
    created = await keys.create_key(ports.control, COMMAND_LINE_ACTOR, requested)
    names = ", ".join(requested.workspace_ids)
    text = f"Created key {created.key.id} for {names}.\n\n    {created.secret}\n\nStore it now: it is not shown again."
    return CommandOutput({**to_json(created.key), "secret": created.secret}, text)


def _requested_key(options: argparse.Namespace) -> VirtualKey:
    """Build the requested key. Checks what the options can get wrong; the control plane checks the rest."""
    if (options.subject is None) != (options.issuer is None):
        raise InvalidRequest("--subject and --issuer must be given together.")
    if options.subject is not None and not 0 < len(options.subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"--subject must have 1 to {MAX_SUBJECT} characters.")
    workspace_ids: tuple[str, ...] = tuple(dict.fromkeys(options.workspaces))
    if len(workspace_ids) > keys.MAX_WORKSPACES:
        raise InvalidRequest(f"A key may have at most {keys.MAX_WORKSPACES} workspaces, not {len(workspace_ids)}.")
    if options.default not in (None, "none", *workspace_ids):
        message = f"The default workspace {options.default!r} is not one of the key's workspaces"
        raise InvalidRequest(f"{message}: add it with --workspace.")
    return _with_options(VirtualKey("", "", "", workspace_ids, None), options)


async def set_key(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Change the key by the options given. Raises `NotFound`, `InvalidRequest`, and `LimitBelowUsed` unless forced."""
    before = await keys.find_key(ports.control, COMMAND_LINE_ACTOR, options.workspace, options.id)
    after = _with_options(before, options)
    key = await keys.update_key(ports.control, COMMAND_LINE_ACTOR, before, after, None, force=options.force)
    return CommandOutput(to_json(key), f"Changed key {key.id}, in force within a minute.")


def _with_options(key: VirtualKey, options: argparse.Namespace) -> VirtualKey:
    """Return `key` with the options given. The words "none", "never", "any" and "workspace" clear a field."""
    values = (
        ("default_workspace_id", options.default, "none"),
        ("expires_at", options.expires, "never"),
        ("endpoints", options.endpoints, ["any"]),
        ("networks", options.networks, ["any"]),
        ("trace_sample", options.trace_sample, "workspace"),
    )
    given = ((name, value, clearing_value) for name, value, clearing_value in values if value is not None)
    changes = {name: None if value == clearing_value else _to_tuple(value) for name, value, clearing_value in given}
    name = key.name if options.name is None else options.name
    return replace(key, name=name, limits=with_limits(key.limits, options.limits), **changes)


def _to_tuple(value: str | float | list[str]) -> str | float | tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value


async def _create_for_subject(ports: StorePorts, requested: VirtualKey, issuer: str, subject: str) -> CommandOutput:
    key, _ = await keys.create_key_for_subject(ports.control, COMMAND_LINE_ACTOR, requested, issuer, subject)
    return CommandOutput(to_json(key), f"The subject may use {', '.join(key.workspace_ids)}, as {key.id}.")
