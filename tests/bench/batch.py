"""One worker of the batch engine beside a plain asyncio loop of the same calls: lines for each second, and memory."""

import json
import statistics
from typing import NamedTuple

from tests.bench import processes


class Pace(NamedTuple):
    """Lines answered for each second, the processor's milliseconds for each line, and the most memory, in MB."""

    lines_per_second: float
    cpu_ms: float
    peak_mb: float


def measure(lines: int, rounds: int) -> dict[str, Pace]:
    """The medians of "worker" and "loop", which take turns."""
    found: dict[str, list[Pace]] = {"worker": [], "loop": []}
    with processes.upstream() as provider:
        env = processes.provider_env(provider)
        for _ in range(rounds):
            for kind, paces in found.items():
                printed = processes.printed("tests.bench.batch_worker", kind, str(lines), env=env)
                paces.append(Pace(**json.loads(printed)))
    return {kind: Pace(*map(statistics.median, zip(*paces, strict=True))) for kind, paces in found.items()}
