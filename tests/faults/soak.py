"""`python -m tests.faults.soak [calls [transport]]`: a storm of calls, faults and leaving clients, and what remains.

The gateway, the provider and the clients are processes of their own on 127.0.0.1.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.clients.programs import Program, running, until
from tests.faults.driving import CONNECTIONS, DEADLINE_SECONDS, Result, drive, plans
from tests.faults.plane import SECRET

CALLS = 20_000
SEED = 5
_WARM_SHARE = 0.1
_LEAST_CALLS = 4_000
"""Of fewer, memory says nothing."""

_SETTLING_SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Soaked:
    """What became of the calls, what the gateway held at four moments, and what was wrong."""

    results: list[Result]
    statuses: Counter[str]
    attempts: int
    before: dict[str, int]
    warm: dict[str, int]
    half: dict[str, int]
    end: dict[str, int]
    faults: list[str]
    seconds: float

    def table(self) -> str:
        left = sum(result.plan.leaving is not None for result in self.results)
        met = sum(result.plan.fault is not None for result in self.results)
        told = ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items()))
        rows = [
            ("calls", f"{len(self.results):,} at {CONNECTIONS} connections in {self.seconds:.0f} s"),
            ("of them with a fault / whose client left", f"{met:,} / {left:,}"),
            ("records", f"{sum(self.statuses.values()):,}: {told}"),
            ("attempts", f"{self.attempts:,}"),
            (
                "memory when warm / after half / at the end",
                " / ".join(map(_megabytes, (self.warm, self.half, self.end))),
            ),
            *(
                (f"{what} before / at the end", f"{self.before[what]} / {self.end[what]}")
                for what in ("sockets", "descriptors", "tasks")
            ),
            ("faults of ours", "; ".join(self.faults) or "none"),
        ]
        return "\n".join(["| what | found |", "|---|---|", *(f"| {what} | {found} |" for what, found in rows)])


def soak(calls: int, transport: str = "aiohttp", seed: int = SEED) -> Soaked:
    """Run it. What was wrong is in `faults`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls.txt"
        with _program("tests.faults.provider") as provider:
            env = {"OPENAI_API_KEY": "not-a-key", "OPENAI_BASE_URL": f"http://127.0.0.1:{_port(provider)}/v1"}
            env["TIDEGATE_TRANSPORT"] = transport
            with _program("tests.faults.plane", str(file), env=env) as plane:
                return _soak(plane, provider, file, calls, seed)


def _soak(plane: Program, provider: Program, file: Path, calls: int, seed: int) -> Soaked:
    port = _port(plane)
    wanted = plans(calls, seed)
    warming = int(calls * _WARM_SHARE)
    before = state(port)
    began = time.monotonic()
    results = asyncio.run(drive(port, wanted[:warming]))
    _quiet(port, before["tasks"])
    warm = state(port)
    results += asyncio.run(drive(port, wanted[warming : calls // 2]))
    _quiet(port, before["tasks"])
    half = state(port)
    results += asyncio.run(drive(port, wanted[calls // 2 :]))
    seconds = time.monotonic() - began
    with suppress(TimeoutError):
        _quiet(port, before["tasks"])
    at_rest = state(port)
    # What is kept open for the next call to the provider goes with the provider.
    provider.end()
    with suppress(TimeoutError):
        until(lambda: state(port)["sockets"] <= before["sockets"], _SETTLING_SECONDS)
    end = state(port) | {"resident_bytes": at_rest["resident_bytes"]}
    held = _held(port)
    admitted, recorded = _lines(file)
    faults = [*_of_records(results, admitted, recorded), *_of_holdings(calls, before, half, end, held)]
    faults += [f"it said: {line}" for line in plane.err if line[:1].strip()][:5]
    statuses = Counter(status for _, _, status, _ in recorded)
    attempts = sum(int(number) for *_, number in recorded)
    return Soaked(results, statuses, attempts, before, warm, half, end, faults, seconds)


def _of_records(results: list[Result], admitted: list[str], recorded: list[list[str]]) -> list[str]:
    """Each admitted call has one record, which says what its client saw."""
    faults: list[str] = []
    ids = [call_id for call_id, *_ in recorded]
    if sorted(ids) != sorted(admitted):
        twice = [call_id for call_id, count in Counter(ids).items() if count > 1]
        faults.append(f"{len(admitted)} calls, {len(ids)} records, {len(twice)} of them twice")
    statuses = {call_id: status for call_id, _, status, _ in recorded}
    apps = Counter(app_id for _, app_id, *_ in recorded)
    for result in results:
        plan = result.plan
        if plan.leaving is None:
            recorded_as = statuses.get(result.call_id or "")
            if recorded_as not in (("ok", "cached") if result.is_ok else ("failed",)):
                said = "ok" if result.is_ok else "failed"
                faults.append(f"{plan.app_id} ({plan.kind}, {plan.fault}): {said}, recorded {recorded_as}")
            # A key is another call's while that is running.
            if plan.fault is None and not result.is_ok and not (plan.key and result.status == 409):
                faults.append(f"{plan.app_id} ({plan.kind}) failed without a fault: {result.status}")
        if apps[plan.app_id] > 1 or (plan.leaving is None and apps[plan.app_id] != 1):
            faults.append(f"{plan.app_id} has {apps[plan.app_id]} records")
    return faults[:20]


def _of_holdings(
    calls: int, before: dict[str, int], half: dict[str, int], end: dict[str, int], held: list[Any]
) -> list[str]:
    """What is open or held though no call runs, and memory that grew in the second half."""
    faults = [f"{end[what]} {what}, {before[what]} before" for what in ("sockets", "tasks") if end[what] > before[what]]
    if calls >= _LEAST_CALLS and end["resident_bytes"] > 1.05 * half["resident_bytes"]:
        faults.append(f"memory grew from {_megabytes(half)} to {_megabytes(end)}")
    return faults + [f"still held: {each}" for each in held]


def _held(port: int) -> list[Any]:
    """The limits of which something is still held, though no call runs."""
    request = Request(f"http://127.0.0.1:{port}/v1/quotas", headers={"authorization": f"Bearer {SECRET}"})
    with urlopen(request, timeout=10) as reply:
        quotas = json.load(reply)
    listed = _listed(quotas)
    assert listed
    return [each for each in listed if each["held"] not in (0, "0")]


def _listed(quotas: Any) -> list[Any]:
    if isinstance(quotas, list):
        return [found for each in quotas for found in _listed(each)]
    if not isinstance(quotas, dict):
        return []
    return [quotas] * ("held" in quotas) + [found for each in quotas.values() for found in _listed(each)]


def state(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}/state", timeout=30) as reply:
        return json.load(reply)


def _quiet(port: int, tasks: int) -> None:
    """Return once no call is running any more."""
    until(lambda: state(port)["tasks"] <= tasks, _SETTLING_SECONDS + DEADLINE_SECONDS)


def _lines(file: Path) -> tuple[list[str], list[list[str]]]:
    """The ids of admitted calls, and id, application, status and attempts of each record."""
    lines = [line.split() for line in file.read_text().splitlines()]
    admitted = [words[1] for words in lines if words[0] == "admitted"]
    return admitted, [words[1:] for words in lines if words[0] == "recorded"]


def _program(module: str, *words: str, env: dict[str, str] | None = None) -> Any:
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    return running(sys.executable, "-m", module, *words, env=path | (env or {}), cwd=ROOT)


def _port(program: Program) -> int:
    return int(program.said(""))


def _megabytes(held: dict[str, int]) -> str:
    return f"{held['resident_bytes'] / 1e6:.1f} MB"


if __name__ == "__main__":
    soaked = soak(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS, *sys.argv[2:3])
    print(soaked.table())
    sys.exit(bool(soaked.faults))
