"""The output of a command: text for people, or JSON for programs."""

import argparse
import json
from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct

from tidegate.domain.record import plain_decimal


class CommandOutput(Struct, frozen=True):
    """The result of a command in both forms: `data` is printed with --json, `text` without."""

    data: object
    text: str

    def show(self, as_json: bool) -> None:
        print(json.dumps(self.data, indent=2, ensure_ascii=False) if as_json else self.text)


def columns(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format rows as aligned columns under their heads. A missing value is empty."""
    lines = [list(heads), *([_cell_text(value, "") for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def pairs(values: Sequence[tuple[str, object]]) -> str:
    """Format names and values as two columns, one pair a line. A missing value is "none"."""
    width = max(len(name) for name, _ in values)
    return "\n".join(f"{name.ljust(width)}  {_cell_text(value, 'none')}".rstrip() for name, value in values)


def show_help(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Return a command that prints the parser's help, for a command line without a command."""

    def run(options: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return run


def _cell_text(value: object, missing: str) -> str:
    """Write a value for people: words and numbers as they are, lists and objects as JSON."""
    match value:
        case None | () | []:
            return missing
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain_decimal(value)
        case float():
            return f"{value:g}"
        case str() | int():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
