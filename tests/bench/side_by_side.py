"""This gateway, the Go gateway and LiteLLM in one run, on one provider: processor time, calls a second and memory.

The programs take turns in each round, so that a busy moment affects all of them. Processor time is the user and system
time of a gateway's own process and its children, divided by its calls: the provider's and the load's is not in it, and
other work on the machine changes it little.
"""

import json
import statistics
import subprocess
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import msgspec

from tests.bench import peers, processes, throughput
from tests.bench.counts import BEDROCK, CLAUDE, GEMINI
from tests.bench.interpreter import Interpreter, find_interpreter
from tests.bench.processes import ADMIN_KEY, Program
from tests.bench.requests import NUMBER, PROMPT, Shot, body
from tests.bench.tenants import ALL_LIMITS
from tests.bench.throughput import Pace
from tidegate.local.demo_tenant import DEMO_WORKSPACE

GO, LITELLM = "Go", "LiteLLM"

PLAIN, STREAM = Shot(body()), Shot(body("apart"))
_PEERS_PLAIN, _PEERS_STREAM = Shot(body(model=peers.MODEL)), Shot(body("apart", model=peers.MODEL))
_MESSAGES = {"max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
_RESPONSES = {"input": PROMPT, "store": False, "stream": True}


def _shot(path: str, fields: Mapping[str, object], model: str) -> Shot:
    return Shot(json.dumps({"model": model, **fields}, separators=(",", ":")), path)


CHECKED = Shot(body(messages=[{"role": "user", "content": f"{NUMBER} {PROMPT}"}]))
"""A plain call that no other call is equal to, so that it is not in the cache."""

STREAMS: Mapping[str, Shot] = {
    "from Anthropic": Shot(body("apart", model=CLAUDE)),
    "from Gemini": Shot(body("apart", model=GEMINI)),
    "from Bedrock": Shot(body("apart", model=BEDROCK)),
    "Messages, from OpenAI": _shot(
        "/v1/messages", {**_MESSAGES, "metadata": {"user_id": "apart"}}, "openai/gpt-4o-mini"
    ),
    "Messages, passed on": _shot("/v1/messages", _MESSAGES, CLAUDE),
    "Responses, from Anthropic": _shot("/v1/responses", _RESPONSES, CLAUDE),
    "Responses, passed on": _shot("/v1/responses", _RESPONSES, "openai/gpt-4.1-mini"),
}
"""Streams of 50 chunks that are translated, or on another surface than chat's."""


class Cost(NamedTuple):
    """Medians over the rounds: milliseconds of processor for a call, calls a second, milliseconds of 99 % of calls."""

    cpu_ms: float
    per_second: float
    p99_ms: float


class Load(NamedTuple):
    """A call that is repeated, and the program that gets it."""

    program: Program
    shot: Shot


@contextmanager
def open_programs() -> Generator[dict[str, Load]]:
    """Start all programs, and give the loads of each row. LiteLLM is left out where it cannot be installed."""
    interpreter = find_interpreter()
    with ExitStack() as stack:
        provider = stack.enter_context(processes.upstream())
        go = stack.enter_context(peers.ferrogw(provider))
        plain = stack.enter_context(processes.gateway("memory", provider, interpreter))
        loads = {
            f"{GO} plain": Load(go, _PEERS_PLAIN),
            f"{GO} stream": Load(go, _PEERS_STREAM),
            "plain": Load(plain, PLAIN),
            "checked": Load(stack.enter_context(_checked("memory", provider, interpreter)), CHECKED),
            "stream": Load(plain, STREAM),
            **{name: Load(plain, shot) for name, shot in STREAMS.items()},
        }
        try:
            litellm = stack.enter_context(peers.litellm(provider))
        except (subprocess.CalledProcessError, ConnectionError):
            yield loads
        else:
            yield {
                **loads,
                f"{LITELLM} plain": Load(litellm, _PEERS_PLAIN),
                f"{LITELLM} stream": Load(litellm, _PEERS_STREAM),
            }


@contextmanager
def _checked(store: str, provider: Program, interpreter: Interpreter) -> Generator[Program]:
    """The gateway, whose demo workspace has all limits, a cache and a guardrail."""
    with processes.gateway(store, provider, interpreter) as program:
        guardrail = {"name": "names", "kind": "words", "words": ["hurricane"], "always": True}
        _change(program, limits=msgspec.to_builtins(ALL_LIMITS), cache_ttl_seconds=3600, guardrails=[guardrail])
        yield program


@contextmanager
def limited(store: str, provider: Program) -> Generator[Program]:
    """The gateway on that store, whose demo workspace has all limits."""
    with processes.gateway(store, provider, find_interpreter()) as program:
        _change(program, limits=msgspec.to_builtins(ALL_LIMITS))
        yield program


def _change(program: Program, **fields: object) -> None:
    url = f"http://127.0.0.1:{program.port}/admin/v1/workspaces/{DEMO_WORKSPACE}"
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json", "If-Match": "*"}
    request = urllib.request.Request(url, json.dumps(fields).encode(), headers, method="PATCH")
    with urllib.request.urlopen(request) as response:
        response.read()


def measure(loads: Mapping[str, Load], rounds: int, seconds: float) -> dict[str, Cost]:
    """Return the cost of each load, after one round that only warms; LiteLLM's, if it answers any in time."""
    found: dict[str, list[Cost]] = {name: [] for name in loads}
    for number in range(rounds + 1):
        for name, (program, shot) in loads.items():
            before = program.processor_seconds()
            pace: Pace = throughput.load(program, shot, 1.0 if number == 0 else seconds)
            if number and pace.calls:
                cpu_ms = (program.processor_seconds() - before) / pace.calls * 1000
                found[name].append(Cost(cpu_ms, pace.per_second, pace.p99_ms))
    if missing := [name for name, costs in found.items() if not costs and not name.startswith(LITELLM)]:
        raise RuntimeError(f"no call was answered of {', '.join(missing)}")
    answered = {name: zip(*costs, strict=True) for name, costs in found.items() if costs}
    return {name: Cost(*map(statistics.median, figures)) for name, figures in answered.items()}
