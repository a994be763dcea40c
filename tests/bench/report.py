"""What was measured, as Markdown: one row for each target, met or not."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


def render(rows: Sequence[Row], facts: Sequence[str]) -> str:
    lines = [
        "| what | direct | bare pass-through | Tidegate | to direct | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(f"| {row.what} | {row.direct} | {row.bare} | {row.value} | {row.ratio} | {row.target} | {met} |")
    return "\n".join([*(f"- {fact}" for fact in facts), "", *lines])


def machine(generator: str) -> list[str]:
    """What the figures depend on."""
    return [
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.release().partition('-')[0]}, "
        f"load average {os.getloadavg()[0]:.1f} before the run",
        f"Python {platform.python_version()} for the gateway under its own server; load from {generator}, "
        "gateway, provider and load generator on the same cores",
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
