"""A terminal whose commands the tests type."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.cli import commands as cli_commands


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


Terminal = Callable[..., Said]


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tidegate")
    commands = parser.add_subparsers(required=True)
    for name in ("workspaces", "keys", "plans", "usage", "admin-keys"):
        cli_commands.add_parser(commands, name, name)
    return parser.parse_args(words)
