"""The gateway that a command speaks to over HTTP: its URL, and the key of a workspace.

| URL | key, unless `--key` or TIDEGATE_API_KEY is set |
|---|---|
| `--url`, or TIDEGATE_URL | none |
| OPENAI_BASE_URL | OPENAI_API_KEY |
| that of the server that runs on this machine | its demo key |

A key is only sent to the URL of its own row.
"""

import argparse
from collections.abc import Mapping

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.errors import ConfigurationError
from tidegate.sqlite.folder import DATA_VARIABLE, DataFolder, find_data_folder

URL_VARIABLE, KEY_VARIABLE = "TIDEGATE_URL", "TIDEGATE_API_KEY"


class ServerAccess(Redacted, Struct, frozen=True):
    """A gateway's base URL, which ends in `/v1`, the key for it, and the workspace that the requests name."""

    base_url: str
    key: str
    workspace_id: str | None = None


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the gateway and the key."""
    group = parser.add_argument_group("the gateway to ask")
    group.add_argument(
        "--url",
        help=f"its base URL; default: {URL_VARIABLE}, then OPENAI_BASE_URL, then the server that runs on this machine",
    )
    group.add_argument(
        "--key", help=f"a key; default: {KEY_VARIABLE}, OPENAI_API_KEY, or the running server's demo key"
    )
    group.add_argument("--workspace", metavar="ID", help="the workspace; default: the key's")
    group.add_argument(
        "--data", metavar="DIR", help=f"the running server's folder; default: {DATA_VARIABLE}, or this user's own"
    )


def find_server(options: argparse.Namespace, env: Mapping[str, str]) -> ServerAccess:
    """Find the gateway by the options, the environment, or the server that runs. Raises `ConfigurationError`."""
    key = options.key or env.get(KEY_VARIABLE)
    if url := options.url or env.get(URL_VARIABLE):
        if not key:
            raise ConfigurationError(f"A key for {url} is missing: use --key, or set {KEY_VARIABLE}.")
    elif url := env.get("OPENAI_BASE_URL"):
        key = key or env.get("OPENAI_API_KEY")
        if not key:
            raise ConfigurationError(
                f"A key for {url}, which OPENAI_BASE_URL names, is missing: use --key, or set OPENAI_API_KEY."
            )
    else:
        folder = find_data_folder(options.data, env)
        url, key = _running_server(folder, key or env.get("TIDEGATE_DEMO_KEY"))
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url!r} is not a URL: write http://… or https://….")
    base = url.rstrip("/")
    return ServerAccess(base if base.endswith("/v1") else f"{base}/v1", key, options.workspace)


def _running_server(folder: DataFolder, key: str | None) -> tuple[str, str]:
    server = folder.running_server()
    if server is None:
        raise ConfigurationError(
            "No server runs on this machine: start `python -m tidegate serve`, or name a gateway with --url and --key, "
            f"or with {URL_VARIABLE} and {KEY_VARIABLE}."
        )
    key = key or (folder.demo_key() if server.store == "local" else None)
    if not key:
        raise ConfigurationError(
            f"A key for {server.url} is missing: use --key with one that the server has printed, or set {KEY_VARIABLE}."
        )
    return server.url, key
