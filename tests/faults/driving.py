"""Many clients at once, of which some meet faults and some hang up; everyone says what it saw."""

import asyncio
import json
import random
import re
from dataclasses import dataclass
from typing import Literal

from tests.faults.plane import SECRET
from tests.faults.provider import MODEL, PLAYED, user

CONNECTIONS = 64
FAULTY, LEAVING = 0.2, 0.1
DEADLINE_SECONDS = 1.0
"""Of calls whose provider falls silent, and that nobody gives up."""

_EQUAL = 40
"""As many different calls are there among those that are cached, or that bring a key."""

Leaving = Literal["at once", "soon", "after the head"]
Kind = Literal["bare", "routed", "with a fallback", "cached", "with a key", "guarded"]

_KINDS: dict[Kind, float] = {
    "bare": 0.5,
    "routed": 0.1,
    "with a fallback": 0.1,
    "cached": 0.1,
    "with a key": 0.1,
    "guarded": 0.1,
}

_HEAVY = ("huge",)
_FAULTS = [fault for fault in PLAYED if not fault.name.partition(" ")[2].startswith(_HEAVY)]


@dataclass(frozen=True)
class Plan:
    """One call: `app_id` names it in its record, `fault` in the table. `key` is its idempotency key."""

    app_id: str
    kind: Kind
    body: bytes
    fault: str | None
    leaving: Leaving | None
    key: str | None = None


@dataclass(frozen=True)
class Result:
    """What the client saw: `call_id` is None where it left before it could know; `is_ok`: a whole answer."""

    plan: Plan
    call_id: str | None
    status: int
    is_ok: bool


def plans(calls: int, seed: int) -> list[Plan]:
    drawn = random.Random(seed)
    return [_plan(number, drawn) for number in range(calls)]


def _plan(number: int, drawn: random.Random) -> Plan:
    (kind,) = drawn.choices([*_KINDS], [*_KINDS.values()])
    stream = drawn.random() < 0.5
    named, wanted, timeout = None, "well", 60.0
    if drawn.random() < FAULTY and kind != "with a key":
        fault = drawn.choice([each for each in _FAULTS if (each.streamed if stream else each.plain)])
        named, wanted = f"{fault.stage}: {fault.name}", user(fault, drawn.random() < 0.5, str(number))
        timeout = DEADLINE_SECONDS if fault.is_slow or fault.is_late else timeout
    leaving: Leaving | None = None
    if drawn.random() < LEAVING:
        leaving = drawn.choice(("at once", "soon", "after the head"))
    one = drawn.randrange(_EQUAL)
    text = (
        f"Write tagline {one}." if kind in ("cached", "with a key") else "Write a tagline for an AI content platform."
    )
    body = {
        "model": "fast" if kind == "routed" else f"openai/{MODEL}",
        "messages": [{"role": "user", "content": text}],
        "stream": stream,
        "user": wanted,
        "timeout": timeout,
        **_FIELDS.get(kind, {}),
    }
    key = f"{one}-{stream}" if kind == "with a key" else None
    return Plan(f"soak-{number}", kind, json.dumps(body).encode(), named, leaving, key)


_FIELDS: dict[Kind, dict[str, object]] = {
    "with a fallback": {"fallbacks": ["openai/gpt-4o"]},
    "cached": {"caching": True},
    "guarded": {"guardrails": ["names"]},
}


async def drive(port: int, wanted: list[Plan]) -> list[Result]:
    """All of them on `CONNECTIONS` connections, each of which takes the next one."""
    waiting = iter(wanted)
    results: list[Result] = []

    async def work() -> None:
        line = Line(port)
        results.extend([await line.call(plan) for plan in waiting])
        line.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return results


class Line:
    """One client's connection, opened anew after it hung up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, plan: Plan) -> Result:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(_request(plan))
        if plan.leaving in ("at once", "soon"):
            await writer.drain()
            await asyncio.sleep(0 if plan.leaving == "at once" else 0.01)
            self.close()
            return Result(plan, None, 0, False)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, call_id = int(head.split(" ", 2)[1]), _header(head, "x-request-id")
        if plan.leaving == "after the head":
            self.close()
            return Result(plan, call_id, status, False)
        body = await _body(reader, head)
        is_ok = status == 200 and b'"error"' not in body and (b"[DONE]" in body or b'"chat.completion"' in body)
        return Result(plan, call_id, status, is_ok)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _request(plan: Plan) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(plan.body)}",
        f"authorization: Bearer {SECRET}",
        f"x-app-id: {plan.app_id}",
        *([f"idempotency-key: {plan.key}"] if plan.key else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + plan.body


def _header(head: str, name: str) -> str | None:
    found = re.search(rf"(?im)^{name}: *(.*?)\r$", head)
    return found[1] if found else None


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    length = _header(head, "content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    pieces: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(pieces)
