"""What was measured, as Markdown: one row for each target, met or not."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers
from tests.bench.interpreter import find_interpreter, this_interpreter

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `direct` is the same call without the gateway; `ratio` compares the two.

    `bare` is a pass-through on the gateway's own server and HTTP client: what this machine's Python costs by itself.
    """

    what: str
    value: str
    target: str = ""
    met: bool | None = None
    direct: str = ""
    bare: str = ""
    ratio: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table of other gateways. `ratio` is to the Go gateway, if not said otherwise."""

    what: str
    value: str
    go: str = ""
    litellm: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def render(rows: Sequence[Row | Comparison], facts: Sequence[str]) -> str:
    """Return the facts, the table of other gateways and the other table, each if it has rows."""
    compared = [row for row in rows if isinstance(row, Comparison)]
    others = [row for row in rows if isinstance(row, Row)]
    tables = [_compared(compared)] if compared else []
    return "\n\n".join(["\n".join(f"- {fact}" for fact in facts), *tables, *([_measured(others)] if others else [])])


_MET = {True: "yes", False: "**no**", None: ""}


def _compared(rows: Sequence[Comparison]) -> str:
    lines = ["| what | Go | LiteLLM | Tidegate | to Go | target | met |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = (row.what, row.go, row.litellm, row.value, row.ratio, row.target, _MET[row.met])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(rows: Sequence[Row]) -> str:
    lines = [
        "| what | direct | bare pass-through | Tidegate | to direct | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (row.what, row.direct, row.bare, row.value, row.ratio, row.target, _MET[row.met])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def machine(generator: str) -> list[str]:
    """What the figures depend on."""
    return [
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release().partition('-')[0]}, "
        f"load average {os.getloadavg()[0]:.1f} before the run",
        f"{this_interpreter().build}, for the gateway under its own server; load from {generator}, "
        "gateway, provider and load generator on the same cores",
        f"beside other gateways, on the local store and with many streams: {find_interpreter().build}; Go is "
        f"{peers.FERROGW}, LiteLLM {peers.LITELLM} on Python {platform.python_version()}",
    ]


def write(path: Path, measured: str) -> None:
    """Replace what stands between the marks. Raises `ValueError` where there are none."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path.name} has no place marked by {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
