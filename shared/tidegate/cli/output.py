"""The output of a command: text for people, or JSON for programs."""

import json
from collections.abc import Sequence

from msgspec import Struct


class CommandOutput(Struct, frozen=True):
    """The result of a command in both forms: `data` is printed with --json, `text` without."""

    data: object
    text: str

    def show(self, as_json: bool) -> None:
        print(json.dumps(self.data, indent=2, ensure_ascii=False) if as_json else self.text)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format rows as aligned columns under their heads."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def pairs(values: Sequence[tuple[str, str]]) -> str:
    """Format names and values as two columns, one pair a line."""
    width = max(len(name) for name, _ in values)
    return "\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in values)
