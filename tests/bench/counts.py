"""`python -m tests.bench.counts`: the steps that calls take, counted. With `--write`, they become the bounds of CI.

A step is one call of a function, in Python or in C. Counts do not depend on the machine or its load, but on the version
of Python: `counts.json` has them by version, and the tests allow 10 % more.
"""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.bench.inprocess import WORKSPACE, Call, InProcess, chat, open_gateway
from tests.bench.processes import printed
from tests.bench.steps import Steps
from tests.bench.tenants import with_checks
from tidegate.aws import logs

TABLE = Path(__file__).with_name("counts.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

ALLOWED = 1.10
"""How much of its count a call may take."""

_WARM_CALLS = 5
_COUNTED_CALLS = 3

CLAUDE, GEMINI = "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"
BEDROCK = "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
_PROMPT = "Write a tagline for an AI content platform."
_MESSAGES = {"max_tokens": 100, "messages": [{"role": "user", "content": _PROMPT}], "stream": True}
_RESPONSES = {"input": _PROMPT, "store": False, "stream": True}

CALLS: Mapping[str, Call] = {
    "plain call": chat(),
    "stream": chat(stream=True),
    "stream of Anthropic": chat(CLAUDE, stream=True),
    "stream of Gemini": chat(GEMINI, stream=True),
    "stream of Bedrock": chat(BEDROCK, stream=True),
    "Messages, translated stream": Call("/v1/messages", {"model": "openai/gpt-4o-mini", **_MESSAGES}),
    "Messages, stream passed on": Call("/v1/messages", {"model": CLAUDE, **_MESSAGES}),
    "Responses, translated stream": Call("/v1/responses", {"model": CLAUDE, **_RESPONSES}),
    "Responses, stream passed on": Call("/v1/responses", {"model": "openai/gpt-4.1-mini", **_RESPONSES}),
}
"""The calls that are counted. Streams have 50 chunks, each of which comes by itself."""

CHECKED = "plain call with limits, a cache and a guardrail"
"""A call that is not in the cache yet, and is stored there."""


class Count(Struct, frozen=True):
    """The steps of a call, by module of the gateway; and the most of them within one turn of the event loop."""

    by_room: Mapping[str, int]
    longest_turn: int

    @property
    def total(self) -> int:
        return sum(self.by_room.values())


async def count_call(
    steps: Steps, gateway: InProcess, call: Call, warm_calls: int = _WARM_CALLS, counted_calls: int = _COUNTED_CALLS
) -> Count:
    """Return the median of some equal calls, after others. Their prompts begin with different numbers."""
    counts: list[Count] = []
    for number in range(warm_calls + counted_calls):
        body = call.encode().replace(b"Write", b"%05d Write" % number, 1)
        steps.start()
        await gateway.send(call, body)
        steps.stop()
        counts.append(Count(steps.by_room(), steps.longest_turn))
    return sorted(counts[warm_calls:], key=lambda count: count.total)[counted_calls // 2]


async def count_all() -> dict[str, Count]:
    """Return the counts of all calls, by name. Only for a process that does nothing else."""
    steps = Steps()
    gc.disable()
    async with open_gateway() as gateway, open_gateway(with_checks(WORKSPACE)) as checking:
        counts = {name: await count_call(steps, gateway, call) for name, call in CALLS.items()}
        return {**counts, CHECKED: await count_call(steps, checking, CALLS["plain call"])}


def measure() -> dict[str, Count]:
    """Return the counts of all calls, from a process of their own."""
    line = printed("tests.bench.counts", "--here", env={"PYTHONHASHSEED": "0"})
    return msgspec.json.decode(line, type=dict[str, Count])


def read_bounds() -> dict[str, int] | None:
    """Return the most steps that each call may take on this Python; None for a version without bounds."""
    counts: dict[str, int] | None = _read_table().get(PYTHON)
    return counts and {name: int(count * ALLOWED) for name, count in counts.items()}


def _read_table() -> dict[str, dict[str, int]]:
    return msgspec.json.decode(TABLE.read_bytes(), type=dict[str, dict[str, int]]) if TABLE.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counts", description="Count the steps of calls.")
    parser.add_argument("--write", action="store_true", help=f"make them the bounds of Python {PYTHON}")
    parser.add_argument("--rooms", metavar="CALL", help="the steps of that call by module, most first")
    parser.add_argument("--here", action="store_true", help="in this process, as JSON in the last line")
    arguments = parser.parse_args()
    if arguments.here:
        logs.configure("INFO", None)
        print(msgspec.json.encode(asyncio.run(count_all())).decode())
        return
    counts, bounds = measure(), read_bounds() or {}
    for name, count in counts.items():
        print(f"{count.total:7} of {bounds.get(name, 0):7}   {name} (at most {count.longest_turn} in a turn)")
    if arguments.rooms:
        for room, steps in sorted(counts[arguments.rooms].by_room.items(), key=lambda item: -item[1]):
            print(f"{steps:7}   {room}")
    if arguments.write:
        table = _read_table() | {PYTHON: {name: count.total for name, count in counts.items()}}
        TABLE.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
