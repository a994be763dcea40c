"""All that llmock can be told to do, and what the gateway's client gets of it.

Source: llmock 0.2.2, its README ("The faults") and `llmock/scenarios.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TOOLS: Any = [
    {"type": "function", "function": {"name": "get_tide", "parameters": {"type": "object", "properties": {}}}}
]


@dataclass(frozen=True, eq=False)
class Scenario:
    """`behaviours` in llmock's JSON. `plain` and `streamed` are the error's code; "" is an answer, None: not asked.

    `cut`: the failure comes after the first word, and the client's application asks once more.
    """

    name: str
    behaviours: tuple[Any, ...]
    plain: str | None = ""
    streamed: str | None = ""
    cut: bool = False
    asks: dict[str, Any] = field(default_factory=dict[str, Any])


_REFUSED = {400: "provider_bad_request", 401: "provider_auth_error", 403: "provider_auth_error", 404: "model_not_found"}
_REFUSED[422] = "provider_bad_request"
_PASSING = (408, 409, 429, 500, 502, 503, 504, 529)


def fail(status: int, **more: Any) -> Any:
    return {"type": "fail", "status": status, **more}


def fault(kind: str, after: int, **more: Any) -> Any:
    return {"type": "stream_fault", "kind": kind, "after_chunks": after, **more}


def scenarios() -> Iterator[Scenario]:
    for status, code in _REFUSED.items():
        yield Scenario(f"{status}", (fail(status),), code, code)
    for status in _PASSING:
        yield Scenario(f"{status} once", (fail(status),))
        yield Scenario(f"{status} twice", (fail(status, times=2),))
    yield Scenario("429, wait 0.3 s, twice", (fail(429, retry_after=0.3, times=2),))
    yield Scenario("429, wait 1 s", (fail(429, retry_after=1),))
    yield Scenario("503, wait 0.3 s", (fail(503, retry_after=0.3),))
    yield Scenario("three kinds of failures", (fail(500), fail(429, retry_after=0.2)))
    down = "provider_overloaded"
    yield Scenario("an outage", (fail(503, times=None),), down, down)
    limited = "provider_rate_limited"
    yield Scenario("429 for ever", (fail(429, retry_after=0.1, times=None),), limited, limited)
    long = "context_length_exceeded"
    message = "This model's maximum context length was exceeded."
    yield Scenario("too long a prompt", (fail(400, code=long, message=message),), long, long)
    yield Scenario("a delay", ({"type": "delay", "seconds": 0.2},))
    yield Scenario("a slow first token", ({"type": "slow_first_token", "seconds": 0.2},), None)
    yield from _streams()
    yield from _tools()


def _streams() -> Iterator[Scenario]:
    """Before the first word nobody learns of it; after it the client is told."""
    cut, malformed, silent = "provider_stream_cut", "provider_malformed_response", "provider_timeout"
    for kind in ("disconnect", "truncate", "malformed"):
        yield Scenario(f"{kind} at once", (fault(kind, 0),), None)
        yield Scenario(f"{kind} at once, twice", (fault(kind, 0, times=2),), None)
    yield Scenario("disconnect after 3 chunks", (fault("disconnect", 3),), None, cut, cut=True)
    yield Scenario("truncate after 3 chunks", (fault("truncate", 3),), None, cut, cut=True)
    yield Scenario("malformed after 3 chunks", (fault("malformed", 3),), None, malformed, cut=True)
    stalls = (fault("stall", 3, stall_seconds=30),)
    yield Scenario("stall after 3 chunks", stalls, None, silent, cut=True, asks={"timeout": 0.6})


def _tools() -> Iterator[Scenario]:
    asks = {"tools": TOOLS}
    yield Scenario("a scripted answer", ({"type": "reply", "text": "The tide is high."},))
    yield Scenario("a scripted tool call", ({"type": "reply", "tool_calls": [{"name": "get_tide"}]},), asks=asks)
    for kind in ("malformed_arguments", "unknown_tool"):
        yield Scenario(f"a tool call with {kind}", ({"type": "tool_fault", "kind": kind},), asks=asks)


SCENARIOS = tuple(scenarios())
