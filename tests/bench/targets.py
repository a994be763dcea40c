"""The rows of `make bench` that compare with other gateways, and those of many streams and of the local store."""

from collections.abc import Mapping

from tests.bench import open_streams, processes, side_by_side, throughput, turns
from tests.bench.interpreter import find_interpreter
from tests.bench.report import Comparison, Row
from tests.bench.requests import Shot, body
from tests.bench.side_by_side import GO, LITELLM, STREAMS, Cost

KEPT_CALLS = 10_000
"""As many records as the in-memory store keeps: from then on it holds no more."""

_CALM_MS = 20
"""Chunks that are later than this without a long prompt: the machine is too busy to tell."""


def peers(rounds: int, seconds: float) -> list[Comparison]:
    """The processor time of calls and streams, and the pace of plain calls, beside the other gateways."""
    with side_by_side.open_programs() as loads:
        costs = side_by_side.measure(loads, rounds, seconds)
    streams = [_time(f"stream of 50 chunks, {name}", costs, name, "stream", 1.0) for name in STREAMS]
    stream = costs["stream"].cpu_ms
    return [
        _time("plain call", costs, "plain", "plain", 0.8),
        _time("plain call with limits, a cache and a guardrail", costs, "checked", "plain", 1.3),
        _time("stream of 50 chunks", costs, "stream", "stream", 0.7),
        *streams,
        *(
            Comparison(
                f"{name}: beside our chat's stream",
                f"{costs[name].cpu_ms:.2f} ms",
                ratio=f"{costs[name].cpu_ms / stream:.2f}× of {stream:.2f} ms",
                target="≤ 1.0×",
                met=costs[name].cpu_ms <= stream,
            )
            for name in STREAMS
            if "passed on" in name
        ),
        _pace(costs),
        _slowest(costs),
    ]


def _time(what: str, costs: Mapping[str, Cost], ours: str, theirs: str, most: float) -> Comparison:
    cost, go, litellm = costs[ours].cpu_ms, costs[f"{GO} {theirs}"].cpu_ms, costs.get(f"{LITELLM} {theirs}")
    return Comparison(
        f"{what}: processor time",
        f"**{cost:.3f} ms**",
        go=f"{go:.3f} ms",
        litellm="" if litellm is None else f"{litellm.cpu_ms:.1f} ms",
        ratio=f"{cost / go:.2f}×",
        target=f"≤ {most}×",
        met=cost <= most * go,
    )


def _pace(costs: Mapping[str, Cost]) -> Comparison:
    ours, go, litellm = costs["plain"].per_second, costs[f"{GO} plain"].per_second, costs.get(f"{LITELLM} plain")
    return Comparison(
        "plain calls, 16 connections, in one process; Go on all cores",
        f"**{ours:,.0f}/s**",
        go=f"{go:,.0f}/s",
        litellm="" if litellm is None else f"{litellm.per_second:,.0f}/s",
        ratio=f"{ours / go:.2f}×",
        target="≥ 1.0×",
        met=ours >= go,
    )


def _slowest(costs: Mapping[str, Cost]) -> Comparison:
    ours, go, litellm = costs["plain"].p99_ms, costs[f"{GO} plain"].p99_ms, costs.get(f"{LITELLM} plain")
    return Comparison(
        "plain call, 16 connections, p99",
        f"**{ours:.1f} ms**",
        go=f"{go:.1f} ms",
        litellm="" if litellm is None else f"{litellm.p99_ms:.0f} ms",
        ratio=f"{ours / go:.2f}×",
        target="≤ 1.0×",
        met=ours <= go,
    )


def many_streams() -> list[Row]:
    """Return the rows of 1,000 open streams: their memory, and how long a prompt of 10 MB delays them."""
    with (
        processes.upstream() as provider,
        processes.gateway("memory", provider, find_interpreter()) as gateway,
    ):
        held = open_streams.measure(gateway)
    longest_turns = turns.measure(open_streams.PROMPT_BYTES)
    return [
        Row(
            f"resident memory with {open_streams.STREAMS:,} open streams",
            f"{held.open_mb:.0f} MB ({held.before_mb:.0f} MB before)",
            "≤ 120 MB",
            held.open_mb <= 120,
        ),
        Row("for each open stream", f"{held.stream_kb:.0f} KB", "≤ 20 KB", held.stream_kb <= 20),
        Row(
            "delay of their chunks by prompts of 10 MB, p99.9",
            f"{held.delayed_ms:.0f} ms ({held.calm_ms:.0f} ms without)",
            "≤ 20 ms more",
            held.delayed_ms - held.calm_ms <= 20 if held.calm_ms <= _CALM_MS else None,
        ),
        *(
            Row(
                f"longest turn of the event loop with a prompt of 10 MB, {kind}",
                f"{ms:.1f} ms of processor",
                "≤ 20 ms",
                ms <= 20,
            )
            for kind, ms in longest_turns.items()
        ),
    ]


def local_store(seconds: float) -> list[Row]:
    """The pace of plain calls on a data folder, with all limits of the workspace set."""
    with processes.upstream() as provider, side_by_side.limited("local", provider) as gateway:
        throughput.load(gateway, Shot(body()), 1.0)
        pace = throughput.load(gateway, Shot(body()), seconds)
    return [
        Row(
            "plain calls with all limits of the workspace set, 16 connections (local store)",
            f"**{pace.per_second:,.0f}/s**",
            "≥ 1,000/s",
            pace.per_second >= 1000,
        )
    ]
