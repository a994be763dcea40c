"""The pace of a worker at each provider: how many calls at once, and when the next one may begin.

A provider that refuses a call because of its rate halves the calls at once, and is left alone for as long as it asks;
other workers learn that from the table. Successes raise the calls at once again. Of a declared rate, workers book
portions one after the other, so that all of them together keep to the share that batches may take.
"""

import asyncio
from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import suppress

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.batch.ports import BatchTable
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.deployment import Resolution
from tidegate.domain.workspace import Workspace
from tidegate.errors import StoreUnavailable
from tidegate.policy.routing.health import deployment_key_of

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""Waits after refusals in a row by a provider that does not say how long to wait: each is twice the one before."""

RAISE, CAREFUL_RAISE = 1 / 8, 1 / 64
"""How much a success raises the calls at once, and how much where they are about as many as when they were refused."""

PORTION_SECONDS = 1.0
"""The part of a declared rate that a worker books at once. Each booking is a read and a write of the table."""

MAX_AHEAD_SECONDS = 60.0
"""How far ahead portions are booked. A worker that dies takes those that it has booked with it."""

WRITE_TRIES = 20
RETRY_SECONDS = 1.0

_MEAN_WEIGHT = 0.1


def pace_name(resolution: Resolution, workspace: Workspace, index: int = 0) -> str:
    """The name of the rate that calls to a deployment of the resolution use: its provider.

    With a key or a route of the workspace's own, it is another rate, `openai@ws_one`, whose refusals say nothing about
    the gateway's.
    """
    deployment = resolution.deployments[index]
    owner = deployment_key_of(deployment, resolution, workspace).workspace_id
    return deployment.provider if owner is None else f"{deployment.provider}@{owner}"


def provider_of(name: str) -> str:
    """The provider in a name of a rate."""
    return name.partition("@")[0]


class _Gate(Struct):
    """One provider, as a worker knows it. `granted` calls are booked, and may begin from the time `granted_from` on."""

    limit: float
    requests_per_second: float | None = None
    tokens_per_second: float | None = None
    open_calls: int = 0
    blocked_until: float = 0.0
    halved_at: float = 0.0
    refused_limit: float = 0.0
    refusals: int = 0
    granted: int = 0
    granted_from: float = 0.0
    mean_tokens: float = 0.0
    excess_tokens: float = 0.0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])
    booking: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_declared: bool = False

    def wake(self) -> None:
        """Let as many waiting lines go on as there is room for."""
        room = int(self.limit) - self.open_calls
        while room > 0 and self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                room -= 1


class Pace:
    """The paces of one worker, by the names of rates.

    `limits` are the calls at once with which it begins, and the next one after it.
    """

    def __init__(
        self,
        table: BatchTable,
        options: BatchOptions,
        clock: Callable[[], float],
        limits: MutableMapping[str, float],
    ) -> None:
        self._table, self._options, self._clock, self._limits = table, options, clock, limits
        self._gates: dict[str, _Gate] = {}
        self._opening = asyncio.Lock()
        self._closed = asyncio.Event()

    async def enter(self, provider: str, tokens: int) -> bool:
        """Wait until a call may begin; `leave` must follow. False if the worker stops.

        `tokens` is what a call may need, until the first ones have told what they use.
        """
        gate = self._gates.get(provider) or await self._open_gate(provider)
        while not self._closed.is_set():
            if self.enter_at_once(provider):
                return True
            now = self._clock()
            if gate.blocked_until > now:
                await self.sleep(gate.blocked_until - now)
            elif gate.open_calls >= int(gate.limit):
                waiter = asyncio.get_running_loop().create_future()
                gate.waiting.append(waiter)
                await waiter
            elif gate.is_declared and not gate.granted:
                await self._book_portion(provider, gate, tokens)
            else:
                await self.sleep(max(0.0, gate.granted_from - now))
        return False

    def enter_at_once(self, provider: str) -> bool:
        """Begin a call if that is possible without waiting, as `enter` does."""
        gate = self._gates.get(provider)
        if gate is None or gate.open_calls >= int(gate.limit) or self._closed.is_set():
            return False
        if gate.is_declared or gate.blocked_until:
            now = self._clock()
            if gate.blocked_until > now or (gate.is_declared and (not gate.granted or gate.granted_from > now)):
                return False
            gate.granted -= gate.is_declared
        gate.open_calls += 1
        return True

    def leave(self, provider: str, tokens: int) -> None:
        """End a call that has used so many tokens, and that the provider's rate has allowed."""
        gate, parallel = self._gates[provider], self._options.parallel_calls
        gate.open_calls -= 1
        gate.refusals = 0
        if gate.limit < parallel:
            is_near = 0.75 <= gate.limit / gate.refused_limit <= 1.25 if gate.refused_limit else False
            gate.limit = min(float(parallel), gate.limit + (CAREFUL_RAISE if is_near else RAISE))
        excess = tokens - gate.mean_tokens
        gate.excess_tokens += excess
        gate.mean_tokens += _MEAN_WEIGHT * excess
        self._limits[provider] = gate.limit
        if gate.waiting:
            gate.wake()

    async def leave_refused(self, provider: str, entered_at: float, retry_after: float | None = None) -> None:
        """End a call that the provider's rate did not allow."""
        gate = self._gates[provider]
        gate.open_calls -= 1
        await self._slow_down(provider, gate, entered_at, retry_after)
        self._limits[provider] = gate.limit
        gate.wake()

    def close(self) -> None:
        """End all waits: no call begins any more."""
        self._closed.set()
        for gate in self._gates.values():
            for waiter in gate.waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def sleep(self, seconds: float) -> bool:
        """Sleep; False if the worker stops meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return not self._closed.is_set()

    async def refresh(self) -> None:
        """Learn from the table which providers have refused other workers."""
        for provider, gate in self._gates.items():
            gate.blocked_until = max(gate.blocked_until, (await self._table.find_pace(provider)).blocked_until)

    async def _open_gate(self, provider: str) -> _Gate:
        async with self._opening:
            if provider not in self._gates:
                parallel = self._options.parallel_calls
                requests, tokens = self._options.rates.get(provider, (None, None))
                gate = _Gate(
                    limit=min(parallel, self._limits.get(provider, parallel)),
                    requests_per_second=requests and requests * self._options.share / 60,
                    tokens_per_second=tokens and tokens * self._options.share / 60,
                    is_declared=requests is not None or tokens is not None,
                )
                with suppress(StoreUnavailable):
                    gate.blocked_until = (await self._table.find_pace(provider)).blocked_until
                self._gates[provider] = gate
        return self._gates[provider]

    async def _slow_down(self, provider: str, gate: _Gate, entered_at: float, retry_after: float | None) -> None:
        now, before = self._clock(), gate.blocked_until
        is_news = entered_at > gate.halved_at  # calls that began before the last halving tell nothing new
        if is_news:
            gate.refused_limit, gate.limit, gate.halved_at = gate.limit, max(1.0, gate.limit / 2), now
            usual_wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**gate.refusals)
            gate.refusals = min(gate.refusals + 1, 10)
            gate.blocked_until = max(before, now + (usual_wait if retry_after is None else retry_after))
        elif retry_after is not None:
            gate.blocked_until = max(before, now + retry_after)
        if gate.blocked_until > before + FIRST_WAIT_SECONDS / 2:
            with suppress(StoreUnavailable):
                await self._announce(provider, gate.blocked_until)

    async def _announce(self, provider: str, blocked_until: float) -> None:
        for _ in range(WRITE_TRIES):
            pace = await self._table.find_pace(provider)
            if pace.blocked_until >= blocked_until or await self._table.save(
                replace(pace, blocked_until=blocked_until)
            ):
                return

    async def _book_portion(self, provider: str, gate: _Gate, tokens: int) -> None:
        """Book the next portion of the provider's rate, or sleep if that is not possible now."""
        async with gate.booking:
            if gate.granted:
                return
            try:
                if await self._try_to_book(provider, gate, tokens):
                    return
            except StoreUnavailable:
                pass
            await self.sleep(RETRY_SECONDS)

    async def _try_to_book(self, provider: str, gate: _Gate, tokens: int) -> bool:
        per_call = gate.mean_tokens = gate.mean_tokens or float(tokens)
        calls = PORTION_SECONDS * (gate.requests_per_second or float("inf"))
        if gate.tokens_per_second is not None:
            calls = min(calls, PORTION_SECONDS * gate.tokens_per_second / max(1.0, per_call))
        calls = max(1, int(calls))
        for _ in range(WRITE_TRIES):
            pace, now = await self._table.find_pace(provider), self._clock()
            earliest = now - PORTION_SECONDS
            requests_at, tokens_at = max(pace.requests_at, earliest), max(pace.tokens_at, earliest)
            start = max(now, requests_at, tokens_at)
            if start - now > MAX_AHEAD_SECONDS:
                return False
            booked = replace(
                pace,
                requests_at=requests_at + calls / gate.requests_per_second if gate.requests_per_second else 0.0,
                tokens_at=tokens_at + (calls * per_call + gate.excess_tokens) / gate.tokens_per_second
                if gate.tokens_per_second
                else 0.0,
            )
            if await self._table.save(booked):
                gate.granted, gate.granted_from, gate.excess_tokens = calls, start, 0.0
                return True
        return False
