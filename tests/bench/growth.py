"""`python -m tests.bench.growth`: how the steps of a call grow, by module, at three sizes of each thing that can grow.

What one call brings (bytes, messages, chunks) may cost in proportion. What the process has or has seen (keys,
workspaces, models, routes) must not matter to a call.
"""

import argparse
import asyncio
import gc
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise

import msgspec

from tests.bench.counts import CALLS, Count, count_call
from tests.bench.inprocess import WORKSPACE, Call, InProcess, chat, open_gateway
from tests.bench.processes import printed
from tests.bench.steps import Steps
from tests.bench.tenants import with_checks
from tidegate.aws import logs
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.ports import Keys, Tenants

BYTES, MESSAGES, CHUNKS, KNOWN = (1_000, 32_000, 1_000_000), (1, 30, 900), (5, 50, 500), (1, 100, 10_000)

_ASCII, _BEYOND_ASCII = "A tagline for the platform. ", "Schöne Grüße an 日本語 wörter. "

PROMPTS: Mapping[str, tuple[tuple[int, ...], Callable[[int], Call]]] = {
    "bytes": (BYTES, lambda size: _long(_ASCII, size)),
    "bytes beyond ASCII": (BYTES, lambda size: _long(_BEYOND_ASCII, size)),
    "messages": (MESSAGES, lambda size: _turns(size)),
    "tool calls": (MESSAGES, lambda size: _tool_turns(size)),
    "texts of embeddings": (MESSAGES, lambda size: _texts(size)),
}
"""Sizes and calls by what grows in the request. Their workspace has limits, a cache and a guardrail."""

STREAMS: Mapping[str, Call] = {f"chunks, {name}": call for name, call in CALLS.items() if "stream" in name}
"""Calls whose streams have one of `CHUNKS`."""

KNOWN_NAME = "keys, workspaces and models"
"""So many of each have made a call before."""

_FEW = 10
"""Steps that a module may take at any size."""

_TOLERANCE = 1.1

_STEPS = Steps()


def _long(text: str, size: int) -> Call:
    return chat(messages=[{"role": "user", "content": "Write " + text * (size // len(text.encode()))}])


def _turns(size: int) -> Call:
    """Return a call with short messages that differ."""
    return chat(messages=[{"role": "user", "content": f"Write line {number}, please."} for number in range(size)])


def _tool_turns(size: int) -> Call:
    messages: list[dict[str, object]] = [{"role": "user", "content": "Write."}]
    for number in range(size):
        function = {"name": "look_up", "arguments": json.dumps({"line": number})}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": f"Line {number}."})
    return chat(messages=messages)


def _texts(size: int) -> Call:
    texts = [f"Write line {number}, please." for number in range(size)]
    return Call("/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": texts})


@asynccontextmanager
async def _after_calls_of(number: int) -> AsyncGenerator[InProcess]:
    """Open a gateway that has answered a call of so many keys, each in a workspace of its own, for another model."""

    async def seed(tenants: Tenants, keys: Keys) -> None:
        for each in range(number):
            workspace = Workspace(f"ws_{each}", "Another")
            await tenants.put_workspace(workspace)
            secret = hash_secret(f"sk-tidegate-{each}")
            await keys.put_key(VirtualKey(f"key_{each}", secret, "sk-tide", (workspace.id,), workspace.id))

    async with open_gateway(seed=seed) as gateway:
        for each in range(number):
            call = chat(f"openai/model-{each}")
            await gateway.drive(msgspec.structs.replace(call, secret=f"sk-tidegate-{each}"), call.encode())
        yield gateway


class Growth(msgspec.Struct, frozen=True):
    """The counts of a call at each of three sizes."""

    sizes: tuple[int, ...]
    counts: tuple[Count, ...]


async def _count(call: Call, opened: AbstractAsyncContextManager[InProcess]) -> Count:
    async with opened as gateway:
        gc.disable()
        count = await count_call(_STEPS, gateway, call, warm_calls=2, counted_calls=1)
        gc.enable()
        return count


async def _grow(
    sizes: tuple[int, ...],
    call: Callable[[int], Call],
    opened: Callable[[int], AbstractAsyncContextManager[InProcess]],
) -> Growth:
    return Growth(sizes, tuple([await _count(call(size), opened(size)) for size in sizes]))


async def grow_all() -> dict[str, Growth]:
    """Return the growth of everything, by name. Only for a process that does nothing else."""
    checked = with_checks(WORKSPACE)
    found = {name: await _grow(sizes, call, lambda _: open_gateway(checked)) for name, (sizes, call) in PROMPTS.items()}
    for name, call in STREAMS.items():
        found[name] = await _grow(CHUNKS, lambda _, call=call: call, lambda chunks: open_gateway(chunks=chunks))
    return {**found, KNOWN_NAME: await _grow(KNOWN, lambda _: chat(), _after_calls_of)}


def measure() -> dict[str, Growth]:
    """Return the growth of everything, from a process of its own."""
    line = printed("tests.bench.growth", "--here", env={"PYTHONHASHSEED": "0"})
    return msgspec.json.decode(line, type=dict[str, Growth])


def faults(growth: Growth) -> dict[str, tuple[int, ...]]:
    """Return the modules whose steps grow faster than the sizes, with their steps at each size."""
    rooms = {room for count in growth.counts for room in count.by_room}
    steps = {room: tuple(count.by_room.get(room, 0) for count in growth.counts) for room in sorted(rooms)}
    return {room: counts for room, counts in steps.items() if _is_superlinear(growth.sizes, counts)}


def _is_superlinear(sizes: tuple[int, ...], counts: tuple[int, ...]) -> bool:
    pairs = zip(pairwise(sizes), pairwise(counts), strict=True)
    return any(
        after > max(before, _FEW) * larger / smaller * _TOLERANCE for (smaller, larger), (before, after) in pairs
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description="Count steps at three sizes.")
    parser.add_argument("--here", action="store_true", help="in this process, as JSON in the last line")
    if parser.parse_args().here:
        logs.configure("INFO", None)
        print(msgspec.json.encode(asyncio.run(grow_all())).decode())
        return
    for name, growth in measure().items():
        sizes = " / ".join(f"{size:,}" for size in growth.sizes)
        totals = " / ".join(f"{count.total:,}" for count in growth.counts)
        turns = " / ".join(f"{count.longest_turn:,}" for count in growth.counts)
        print(f"{name}: {sizes}: {totals} steps, at most {turns} in a turn {faults(growth) or ''}")


if __name__ == "__main__":
    main()
