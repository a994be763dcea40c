"""`python -m tidegate connect CLIENT`: the configuration of a client for this gateway and key, printed or written.

Exit codes: 0 done, 2 the configuration cannot be written, or no gateway is known.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from tidegate.catalog.models import load_catalog
from tidegate.cli.client_settings import CLIENTS, ClientSettings, GatewayAccess
from tidegate.cli.server_access import add_server_options, find_server
from tidegate.cli.settings_files import write_settings
from tidegate.cli.workspaces import Subparsers
from tidegate.errors import ConfigurationError

DEFAULT_MODEL = "demo/echo"


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    """Add the command. `main` calls `run` with the parsed options."""
    parser = commands.add_parser(name, help=summary)
    parser.add_argument("client", choices=sorted(CLIENTS), help="the client to configure")
    parser.add_argument("--model", metavar="ID", default=DEFAULT_MODEL, help=f"its model; default: {DEFAULT_MODEL}")
    parser.add_argument("--write", action="store_true", help="write the client's file; the one before is kept as .bak")
    parser.add_argument("--home", metavar="DIR", type=Path, default=None, help="the home folder; default: yours")
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str] = os.environ) -> int:
    """Print the client's configuration, or write it. Returns an exit code. Raises `ConfigurationError`."""
    server = find_server(options, env)
    row = load_catalog().find_model(options.model)
    access = GatewayAccess(server.base_url.removesuffix("/v1"), server.key, options.model, server.workspace_id, row)
    settings = CLIENTS[options.client](access)
    if not options.write:
        sys.stdout.write(describe(settings))
        return 0
    if settings.file is None:
        raise ConfigurationError(f"{options.client} has no file to write. Set this instead:\n\n{describe(settings)}")
    path = (options.home or Path.home()) / settings.file
    write_settings(path, settings)
    print(f"Wrote {path}. {settings.usage}")
    if settings.variables:
        print(_exports(settings))
    return 0


def describe(settings: ClientSettings) -> str:
    """Return the configuration for people: the variables, the file, and how to start."""
    parts = [_exports(settings)] if settings.variables else []
    if settings.file is not None:
        parts.append(f"# ~/{settings.file}\n{settings.text}")
    elif settings.text:
        parts.append(settings.text)
    return "\n".join([*parts, f"# {settings.usage}", ""])


def _exports(settings: ClientSettings) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.variables.items())
