"""What one fault does to one call, found by playing it to a real gateway."""

import asyncio
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import certificates, plays
from tests.faults.faults import Door, Fault
from tests.faults.upstream import Exchange, Play, Upstream, hostile
from tests.faults.world import USER, Seen, TransportName, harbour

SILENCE_SECONDS = 1.0
"""What the gateway is told to bear of a provider that says nothing; the default is longer than anybody waits here."""

_LONGEST_SECONDS = 60.0
_AT_ONCE = 6
_PATIENCE = ("connect", "first_byte", "between")
_KEYS = ("OPENAI", "ANTHROPIC", "GEMINI")


@dataclass(frozen=True)
class Case:
    """One fault of one kind of reply; `once`: only the first request meets it."""

    fault: Fault
    stream: bool
    once: bool


@dataclass(frozen=True)
class Found:
    """What the client saw, how often the provider was asked and after which seconds, and the record that was kept."""

    seen: Seen
    asked: int
    waits: tuple[float, ...]
    record: dict[str, Any]


def cases(faults: tuple[Fault, ...]) -> list[Case]:
    """All that there are; a fault of the connection itself does not pass."""
    return [
        Case(fault, stream, once)
        for fault in faults
        for stream, play in ((False, fault.plain), (True, fault.streamed))
        for once in (False, True)
        if play is not None and not (once and fault.stage == "connecting")
    ]


async def measure(wanted: list[Case], transport: TransportName = "pyreqwest") -> dict[Case, Found]:
    """What was found of each, several at a time; each has a gateway and a provider of its own."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(case: Case) -> Found:
        async with turns, asyncio.timeout(_LONGEST_SECONDS):
            return await _found(case, transport)

    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


async def _found(case: Case, transport: TransportName) -> Found:
    fault = case.fault
    async with _provider(fault.door, _played(case)) as (upstream, base_url, root):
        env = {f"{name}_API_KEY": "not-a-key" for name in _KEYS}
        env |= {f"{name}_BASE_URL": base_url + ("/v1" if name == "OPENAI" else "") for name in _KEYS}
        if fault.is_slow:
            env["TIDEGATE_TIMEOUTS"] = json.dumps({"*": dict.fromkeys(_PATIENCE, SILENCE_SECONDS)})
        async with harbour(root, transport=transport, **env) as gateway:
            body: dict[str, Any] = {"model": f"{fault.dialect.provider}/{fault.dialect.model}", "messages": USER}
            if fault.is_used:
                await gateway.call(body)
            if fault.is_late:
                body["timeout"] = SILENCE_SECONDS
            if case.stream:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            seen = await gateway.call(body, upstream.passed_on.set)
            record = await gateway.recorder.of(seen.call_id)
            return Found(seen, len(upstream.asked) - fault.is_used, tuple(gateway.waits), record)


def _played(case: Case) -> Play:
    play = case.fault.streamed if case.stream else case.fault.plain
    assert play is not None

    async def played(exchange: Exchange) -> None:
        number = exchange.number - case.fault.is_used
        await (plays.well if number < 1 or (case.once and number > 1) else play)(exchange)

    return played


@asynccontextmanager
async def _provider(door: Door, play: Play) -> AsyncIterator[tuple[Upstream, str, bytes | None]]:
    """The provider, its address, and the authority that the gateway trusts with it."""
    if door == "open":
        async with hostile(play) as upstream:
            yield upstream, f"http://127.0.0.1:{upstream.port}", None
    elif door == "refused":
        async with hostile(play) as upstream:
            pass
        yield upstream, f"http://127.0.0.1:{upstream.port}", None
    elif door == "silent":
        with _crowded() as port:
            yield Upstream(port), f"http://127.0.0.1:{port}", None
    else:
        authority = certificates.authority()
        with tempfile.TemporaryDirectory() as folder:
            tls = _certificate(door, authority, Path(folder))
        async with hostile(play, tls) as upstream:
            yield upstream, f"https://127.0.0.1:{upstream.port}", authority.pem


@contextmanager
def _crowded() -> Iterator[int]:
    """A port whose queue of connections is full: what knocks there hears nothing."""
    with socket.socket() as listening, ExitStack() as knocking:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            one = knocking.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def _certificate(door: Door, authority: certificates.Authority, folder: Path) -> ssl.SSLContext:
    if door == "self-signed certificate":
        return certificates.context(folder, None)
    if door == "expired certificate":
        return certificates.context(folder, authority, days=-1)
    return certificates.context(folder, authority, host="elsewhere.invalid")
