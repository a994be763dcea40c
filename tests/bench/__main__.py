"""`python -m tests.bench [--quick] [--only PART] [--write]`: measure, and print the table.

`--quick` measures less often (one minute instead of five), `--write` puts the table into docs/SPEED.md.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import (
    batch,
    coldstart,
    hostile,
    latency,
    processes,
    report,
    targets,
    throughput,
    traces,
    transaction,
    translation,
    transports,
)
from tests.bench.latency import Times
from tests.bench.processes import ROOT, Program
from tests.bench.report import Comparison, Row
from tests.bench.requests import body, raw
from tests.bench.targets import KEPT_CALLS
from tests.bench.upstream import LONG_CHUNKS

SPEED = ROOT / "docs" / "SPEED.md"


@dataclass(frozen=True, slots=True)
class Effort:
    """How often to measure."""

    calls: int
    slow_calls: int
    rounds: int
    seconds: float
    starts: int


_SETTLING_SECONDS = 0.05

FULL = Effort(calls=2000, slow_calls=200, rounds=5, seconds=3, starts=11)
QUICK = Effort(calls=500, slow_calls=100, rounds=1, seconds=2, starts=3)


def in_memory(effort: Effort) -> list[Row]:
    """Latency and throughput. Direct calls, the bare pass-through's and the gateway's take turns."""
    with _programs("memory") as programs:
        plain = latency.plain(programs, effort.calls)
        token = latency.first_token(programs, effort.slow_calls)
        rates = [_rates(programs, asked, effort.rounds, effort.seconds) for asked in _LOADS]
    return _rows("in-memory store", plain, token, rates)


def embedded_table(effort: Effort) -> list[Row]:
    """The same, where each call leaves work behind: it pauses after each, and every load meets a table of its own."""
    with processes.table() as table:
        empty, full = transaction.measure(table, effort.slow_calls)
    with _programs("embedded") as programs:
        plain = latency.plain(programs, effort.slow_calls, _SETTLING_SECONDS)
        token = latency.first_token(programs, effort.slow_calls, _SETTLING_SECONDS)
    rates: list[dict[str, float]] = []
    for asked in _LOADS:
        with _programs("embedded") as programs:
            rates.append(_rates(programs, asked, 1, effort.seconds))
    alone = f"{empty:.1f} ms on an empty table, {full:.1f} ms after {effort.slow_calls} calls"
    settling = Row("of which the embedded DynamoDB alone, to settle one call", alone)
    return [*_rows("embedded table", plain, token, rates), settling]


_LOADS = (body(), body("whole"), body("pieces"))


@contextmanager
def _programs(store: str) -> Generator[dict[str, Program]]:
    with (
        processes.upstream() as provider,
        processes.pass_through(provider) as bare,
        processes.gateway(store, provider) as gateway,
    ):
        yield {"direct": provider, "bare": bare, "gateway": gateway}


def _rows(
    store: str, plain: Mapping[str, Times], token: Mapping[str, Times], rates: Sequence[Mapping[str, float]]
) -> list[Row]:
    calls, streams, pieces = rates
    return [
        _latency(f"plain call, 1 connection, p50 ({store})", plain, 0.6),
        _latency(f"time to the first token, p50 ({store})", token, 1.0),
        _rate(f"plain calls, 16 connections ({store})", calls, 2500),
        _rate(f"streams of 50 chunks, 16 connections, written at once ({store})", streams, 400),
        _rate(f"the same, in 54 writes ({store})", pieces),
    ]


def limits(effort: Effort) -> list[Row]:
    """What taking room costs a call, beside the same program without limits."""
    return [
        *_limits("memory", "in-memory store", effort.calls),
        *_limits("embedded", "embedded table", effort.slow_calls, _SETTLING_SECONDS),
    ]


def _limits(store: str, name: str, calls: int, pause: float = 0.0) -> list[Row]:
    with (
        processes.upstream() as provider,
        processes.limited(store, provider) as without,
        processes.limited(store, provider, "workspace") as one,
        processes.limited(store, provider, "workspace", "key") as both,
    ):
        programs = {"direct": provider, "without": without, "one": one, "both": both}
        times = latency.plain(programs, calls, pause)
    direct, bare = times["direct"].p50, times["without"].p50
    return [
        Row(
            f"plain call with all limits of {whose} set, p50 ({name})",
            f"{through:.2f} ms: **{through - direct:.2f} added**, {through - bare:.2f} of it by the limits",
            direct=f"{direct:.2f} ms",
            ratio=f"{through / direct:.1f}×",
        )
        for whose, through in (("the workspace", times["one"].p50), ("workspace and key", times["both"].p50))
    ]


def features(effort: Effort) -> list[Row]:
    """What features cost a call that uses none of them, beside the same program without."""
    with (
        processes.upstream() as provider,
        processes.limited("memory", provider) as without,
        processes.limited("memory", provider, "features") as having,
    ):
        # The workspace has a cache for its calls: this is how one does without.
        asked = raw(body(caching=False))
        times = latency.plain({"direct": provider, "without": without, "having": having}, effort.calls, request=asked)
    direct, bare, through = times["direct"].p50, times["without"].p50, times["having"].p50
    return [
        Row(
            "plain call with all features configured and none used, p50 (in-memory store)",
            f"{through:.2f} ms: {through - direct:.2f} added, **{through - bare:.2f}** of it by the features",
            "≤ 0.1 ms by the features",
            through - bare <= 0.1,
            direct=f"{direct:.2f} ms",
            ratio=f"{through / direct:.1f}×",
        )
    ]


def batches(effort: Effort) -> list[Row]:
    """One worker of a batch, whose provider answers at once, beside a plain loop over the gateway."""
    paces = batch.measure(_LINES_PER_CALL * effort.calls, min(effort.rounds, 3))
    worker, loop = paces["worker"], paces["loop"]
    ratio = worker.lines_per_second / loop.lines_per_second
    return [
        Row(
            "lines of a batch by one worker, 64 calls at once; a plain loop of the same calls",
            f"**{worker.lines_per_second:,.0f}/s**, {worker.cpu_ms:.2f} ms of processor for each",
            "≥ 0.8 of the loop",
            ratio >= 0.8,
            direct=f"{loop.lines_per_second:,.0f}/s, {loop.cpu_ms:.2f} ms",
            ratio=f"{ratio:.2f}×",
        ),
        Row("its memory at most, with the files", f"{worker.peak_mb:.0f} MB", direct=f"{loop.peak_mb:.0f} MB"),
    ]


_LINES_PER_CALL = 4
"""A batch has so many times the calls of the other measurements."""


def memory(effort: Effort) -> list[Row]:
    """What the data plane holds after many calls, on the in-memory store, which keeps the last 10,000 records."""
    held: list[float] = []
    with processes.upstream() as provider, processes.data_plane(provider) as plane:
        for calls in (500, KEPT_CALLS, KEPT_CALLS):
            throughput.send(plane, body(), calls)
            held.append(plane.resident_mb())
    warm, first, second = held
    return [
        Row(
            f"resident memory after {KEPT_CALLS:,} calls (data plane)",
            f"{first:.0f} MB ({warm:.0f} MB when warm)",
            "≤ 60 MB",
            first <= 60,
        ),
        Row(
            f"growth over {KEPT_CALLS:,} calls more",
            f"{second - first:+.1f} MB",
            "flat",
            second - first <= 0.02 * first,
        ),
    ]


def cold_start(effort: Effort) -> list[Row]:
    """Spawn to first byte, beside the usual stack."""
    with processes.upstream() as provider, processes.table() as table:
        start = coldstart.measure(table, provider, effort.starts)
    share, build = start.ours / start.usual, coldstart.find_start_python().build
    return [
        Row(
            f"cold start to the first byte (a bare interpreter: {start.bare:.0f} ms); {build}",
            f"{start.ours:.0f} ms, {start.cpu:.0f} ms of processor",
            "≤ 200 ms",
            start.ours <= 200,
        ),
        Row(
            f"the same job on FastAPI, httpx and boto3: {start.usual:.0f} ms",
            f"{start.ours:.0f} ms",
            "≤ ½",
            share <= 0.5,
            ratio=f"{share:.2f}×",
        ),
    ]


def http_clients(effort: Effort) -> list[Row]:
    """What each value of TIDEGATE_TRANSPORT costs a function on Lambda, DynamoDB's requests included."""
    with processes.upstream() as provider, processes.table() as table:
        costs = transports.measure(table, provider, effort.starts, effort.slow_calls)
    return [
        Row(
            f"on Lambda with {name}: cold start; processor time of a plain call and of a stream of 50 chunks",
            f"{cost.start:.0f} ms; {cost.plain:.1f} ms and {cost.stream:.1f} ms",
        )
        for name, cost in costs.items()
    ]


def providers(effort: Effort) -> list[Row]:
    """What translating adds to each chunk, and a provider's module to a cold start."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = coldstart.build_here(Path(folder))
        python = coldstart.find_start_python().command
        costs = translation.measure(artifact, python, effort.starts)
        dialects_ms = translation.dialects_load_ms(artifact, python, effort.starts)
    rows: list[Row] = []
    for name, cost in costs.items():
        chunk_us, load_ms = (40, 200) if name == "bedrock" else (20, 60)
        rows += [
            Row(f"{name}: one chunk", f"{cost.chunk_us:.1f} µs", f"≤ {chunk_us} µs", cost.chunk_us <= chunk_us),
            Row(f"{name}: loaded lazily", f"{cost.load_ms:.1f} ms", f"≤ {load_ms} ms", cost.load_ms <= load_ms),
        ]
    rows += [
        Row(f"{name}: one chunk, translated and written as its event", f"{us:.1f} µs", "≤ 25 µs", us <= 25)
        for name, us in translation.surface_chunk_us(effort.starts).items()
    ]
    what = "cold start: modules of the dialects beside chat's"
    return [*rows, Row(what, f"{dialects_ms:.1f} ms", "≤ 5 ms", dialects_ms <= 5)]


def hostile_bodies(effort: Effort) -> list[Row]:
    """What bodies that are written to be expensive cost, with the slowest of all translators."""
    return [
        Row(
            f"{kind}, {family}: processor for a megabyte",
            f"{ms:.0f} ms",
            f"≤ {hostile.LIMIT_MS} ms",
            ms <= hostile.LIMIT_MS,
        )
        for kind, families in hostile.measure(min(effort.rounds, 3)).items()
        for family, ms in families.items()
    ]


def traced_calls(effort: Effort) -> list[Row]:
    """What the trace of a long stream costs, beside the same stream without one."""
    what = f"stream of {LONG_CHUNKS} chunks in as many pieces, with a trace: processor time"
    served, alone = traces.measure_server(effort.slow_calls // 2), traces.measure(effort.slow_calls)
    return [
        Row(
            f"{what} of `serve`, over HTTP (in-memory store)",
            f"{served.added:.1f} ms added: **{served.share:+.1%}**",
            "≤ 5 %",
            served.share <= 0.05,
            direct=f"{served.bare:.1f} ms",
        ),
        Row(
            f"{what} of the gateway alone, without sockets",
            f"{alone.added:.1f} ms added: **{alone.share:+.1%}**",
            direct=f"{alone.bare:.1f} ms",
        ),
    ]


def size(effort: Effort) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        zipped = coldstart.zipped_mb(coldstart.build_artifact(Path(folder), "arm64"))
    return [Row("zipped artifact (arm64)", f"{zipped:.1f} MB", "≤ 14 MB", zipped <= 14)]


PARTS: Mapping[str, Callable[[Effort], Sequence[Row | Comparison]]] = {
    "peers": lambda effort: targets.peers(effort.rounds, effort.seconds),
    "memory-store": in_memory,
    "embedded-table": embedded_table,
    "limits": limits,
    "features": features,
    "batch": batches,
    "memory": memory,
    "open-streams": lambda _: targets.many_streams(),
    "local-store": lambda effort: targets.local_store(effort.seconds),
    "cold-start": cold_start,
    "http-clients": http_clients,
    "providers": providers,
    "size": size,
    "traces": traced_calls,
    "hostile": hostile_bodies,
}


def _rates(programs: Mapping[str, Program], body: str, rounds: int, seconds: float) -> dict[str, float]:
    """Medians of several rounds, the programs taking turns."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            found[name].append(throughput.rate(program, body, seconds if name == "gateway" else 1))
    return {name: statistics.median(rates) for name, rates in found.items()}


def _latency(what: str, times: Mapping[str, Times], limit_ms: float) -> Row:
    direct, bare, through = (times[name].p50 for name in ("direct", "bare", "gateway"))
    added = through - direct
    return Row(
        what,
        f"{through:.2f} ms: **{added:.2f} added** (p99 {times['gateway'].p99:.1f})",
        f"≤ {limit_ms} ms added",
        added <= limit_ms,
        direct=f"{direct:.2f} ms",
        bare=f"{bare:.2f} ms: {bare - direct:.2f} added",
        ratio=f"{through / direct:.1f}×",
    )


def _rate(what: str, rates: Mapping[str, float], least: float | None = None) -> Row:
    direct, bare, through = (rates[name] for name in ("direct", "bare", "gateway"))
    return Row(
        what,
        f"**{through:,.0f}/s**",
        "" if least is None else f"≥ {least:,.0f}/s",
        None if least is None else through >= least,
        direct=f"{direct:,.0f}/s",
        bare=f"{bare:,.0f}/s",
        ratio=f"1/{direct / through:.0f}" if through else "",
    )


_TOO_LONG = "hostile"
"""The part with a row for each of two hundred bodies, which the page has no place for."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the gateway's own share.")
    parser.add_argument("--quick", action="store_true", help="measure less often: a minute instead of five")
    parser.add_argument("--only", choices=PARTS, action="append", help="only that part (may be repeated)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {SPEED.relative_to(ROOT)}")
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else FULL
    facts = report.machine(throughput.GENERATOR)
    rows: list[Row | Comparison] = []
    page: list[Row | Comparison] = []
    for name in arguments.only or PARTS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        part_rows = PARTS[name](effort)
        rows += part_rows
        page += part_rows if name != _TOO_LONG else ()
    print(report.render(rows, facts))
    if arguments.write:
        report.write(SPEED, report.render(page, facts))


if __name__ == "__main__":
    main()
