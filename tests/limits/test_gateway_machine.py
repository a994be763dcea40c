"""The whole gateway under calls, cuts, timeouts, fallbacks, crashes and retries in any order, over each store.

At all times, what is used and held is within each limit, and records, counters and accounts tell the same.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.limits.books import balanced
from tests.limits.place import Place, place
from tests.world import completion, delta, event_stream, sse
from tidegate.aws.sweeper import Sweeper
from tidegate.domain.account import AccountScope, Hold, Reservation, minute_usage
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Limits, period_at
from tidegate.errors import StoreUnavailable
from tidegate.ports import Ledger, Meter

EVE = 1_796_083_200.0 - 30
"""Half a minute before a month's end."""

Fault = Literal["lost", "unconfirmed", None]
"""What goes wrong with a write to the store: it is not made, or only its answer is lost."""

LIMITS = st.builds(
    lambda day, month, words, usd, requests, minute, parallel: Limits(
        tokens_per_day=day and day * 100,
        tokens_per_month=month and month * 200,
        words_per_day=words and words * 50,
        usd_per_month=None if usd is None else Decimal(usd) / 5000,
        requests_per_minute=requests,
        tokens_per_minute=minute and minute * 100,
        parallel_calls=parallel,
    ),
    *[st.none() | st.integers(3, 60)] * 6,
    st.none() | st.integers(1, 4),
)

FATES = (
    *("whole", "part", "no usage", "absurd", "clamped", "refused", "failing", "busy", "slow", "unreachable"),
    *("cut", "cut with usage", "malformed"),
)
"""What a provider does with a request. None of them reports more than was held."""


@dataclass(frozen=True)
class Planned:
    """One call, and what its provider does with each of its requests; the last fate is that of all others."""

    fates: Sequence[str]
    max_tokens: int
    stream: bool
    has_fallback: bool
    leaves: bool

    def body(self, content: str) -> dict[str, Any]:
        body = {
            "model": "openai/gpt-4.1-mini",
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.max_tokens,
            "stream": self.stream,
        }
        return {**body, "fallbacks": ["mistral/mistral-small-latest"]} if self.has_fallback else body


CALLS = st.builds(
    Planned,
    st.lists(st.sampled_from(FATES), min_size=1, max_size=5),
    st.sampled_from([16, 50, 100]),
    *[st.booleans()] * 2,
    st.sampled_from([False, False, True]),
)


@dataclass
class FaultyStore:
    """The port Ledger and the port Meter. The next writes have those faults, one each."""

    ledger: Any = None
    meter: Any = None
    reserving: list[Fault] = field(default_factory=list[Fault])
    recording: list[Fault] = field(default_factory=list[Fault])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def over_ledger(self, ledger: Ledger) -> Any:
        self.ledger = ledger
        return self

    def over_meter(self, meter: Meter) -> Any:
        self.meter = meter
        return self

    async def account(self, *args: Any) -> Any:
        return await self.ledger.account(*args)

    async def replace_alerted(self, *args: Any) -> bool:
        return await self.ledger.replace_alerted(*args)

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> Any:
        fault = self.reserving.pop() if self.reserving else None
        booked = None if fault == "lost" else await self.ledger.reserve(reservation, replacing)
        if fault:
            raise StoreUnavailable("down")
        return booked

    @property
    def records_at_once(self) -> bool:
        return self.meter.records_at_once

    async def record(self, outcome: Outcome) -> None:
        fault = self.recording.pop() if self.recording else None
        if fault != "lost":
            await self.meter.record(outcome)
            self.outcomes.append(outcome)
        if fault:
            raise StoreUnavailable("down")


class GatewayMachine(RuleBasedStateMachine):
    """A workspace and one key, and one process. `endpoint` is a DynamoDB; None is the store in memory."""

    endpoint: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = FaultyStore()
        self.planned: list[Planned] = []
        self.asked: dict[str, int] = {}
        self.open: Any = None
        self.here: Place | None = None

    @initialize(limits=LIMITS, key_limits=st.none() | LIMITS)
    def begin(self, limits: Limits, key_limits: Limits | None) -> None:
        store = self.store
        self.open = place(self.endpoint, self.answer, limits, key_limits, store.over_meter, store.over_ledger)
        self.here = self.runner.run(self.open.__aenter__())
        self.here.world.clock.now = EVE

    def teardown(self) -> None:
        if self.open is not None:
            self.runner.run(self.open.__aexit__(None, None, None))
        self.runner.close()

    @rule(calls=st.lists(CALLS, min_size=1, max_size=4))
    def call(self, calls: list[Planned]) -> None:
        """All at once."""
        self.runner.run(self.all_of(calls))

    @rule(call=CALLS, reserving=st.sampled_from(["lost", "unconfirmed"]), after=st.integers(0, 2))
    def call_while_reserving_fails(self, call: Planned, reserving: Fault, after: int) -> None:
        # A store in memory cannot lose the answer alone.
        self.store.reserving = ["lost" if self.endpoint is None else reserving, *[None] * after]
        self.runner.run(self.all_of([call]))
        self.store.reserving.clear()

    @rule(call=CALLS, recording=st.sampled_from(["lost", "unconfirmed"]))
    def call_of_a_process_that_dies(self, call: Planned, recording: Fault) -> None:
        self.store.recording = [recording]
        self.runner.run(self.all_of([call]))
        self.store.recording.clear()

    @rule(seconds=st.sampled_from([1, 20, 61, 700]))
    def wait(self, seconds: int) -> None:
        assert self.here is not None
        self.here.world.clock.now += seconds

    @precondition(lambda self: self.store.outcomes)
    @rule(at=st.integers(0, 100))
    def record_again(self, at: int) -> None:
        """A settlement that was sent twice."""
        outcomes = self.store.outcomes
        self.runner.run(self.store.meter.record(outcomes[at % len(outcomes)]))

    @precondition(lambda self: self.endpoint is not None)
    @rule()
    def sweep(self) -> None:
        assert self.here is not None
        assert self.here.world.store is not None
        swept = self.runner.run(Sweeper(self.here.world.store).run())
        assert (swept.is_done, swept.failed) == (True, 0)

    @invariant()
    def limits_hold_and_the_books_are_balanced(self) -> None:
        if self.here is not None:
            self.runner.run(self.checked(self.here))

    async def checked(self, here: Place) -> None:
        await balanced(here.world, *here.scopes)
        for scope in here.scopes:
            await within(here, scope)

    async def all_of(self, calls: list[Planned]) -> None:
        await asyncio.gather(*(self.run_call(call) for call in calls))

    async def run_call(self, call: Planned) -> None:
        assert self.here is not None
        content = f"Write tagline {len(self.planned)}."
        self.planned.append(call)
        exchange = self.here.exchange(call.body(content))
        if call.leaves:
            exchange.hang_up()
        await exchange.run()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        content = body["messages"][-1]["content"]
        call = self.planned[int(content.removeprefix("Write tagline ").removesuffix("."))]
        nth = self.asked[content] = self.asked.get(content, -1) + 1
        await asyncio.sleep(0)
        return respond(call.fates[min(nth, len(call.fates) - 1)], call)


async def within(here: Place, scope: AccountScope) -> None:
    account, now = await here.world.ledger.account(scope), here.world.clock.now
    for budget in scope.limits.budgets():
        for at in (EVE, now):
            name = f"{budget.unit}#{period_at(budget.span, at).name}"
            assert account.booked.get(name, 0) <= budget.maximum, (budget, account)
    calls, tokens = minute_usage(account, account.minute)
    for used, limit in (
        (calls, scope.limits.requests_per_minute),
        (tokens, scope.limits.tokens_per_minute),
        (len(account.holds), scope.limits.parallel_calls),
    ):
        assert limit is None or used <= limit, (limit, account)


def respond(fate: str, call: Planned) -> httpx.Response:
    most = call.max_tokens
    usages: dict[str, Any] = {
        "whole": {"prompt_tokens": 14, "completion_tokens": most, "total_tokens": 14 + most},
        "part": {"prompt_tokens": 14, "completion_tokens": 5.5, "total_tokens": 20},
        "absurd": {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2},
        "clamped": {"prompt_tokens": 14, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 10**9}},
    }
    statuses = {"refused": 400, "failing": 500, "busy": 429}
    match fate:
        case "refused" | "failing" | "busy":
            return httpx.Response(statuses[fate], json={"error": {"message": fate}})
        case "slow":
            raise httpx.ReadTimeout(fate)
        case "unreachable":
            raise httpx.ConnectError(fate)
        case "malformed":
            return httpx.Response(200, content=b"<html>")
        case "cut" | "cut with usage":
            usage = {"choices": [], "usage": usages["part"]} if fate == "cut with usage" else None
            return event_stream(sse(delta("Hello."), *[usage] * bool(usage)))
        case _ if call.stream:
            usage = {"choices": [], "usage": usages.get(fate)}
            return event_stream(sse(delta("Hello."), delta(finish="stop"), usage, "[DONE]"))
        case _:
            return httpx.Response(200, json={**completion(), "usage": usages.get(fate)})


QUICK = settings(
    deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.parametrize(
    ("store", "examples", "steps"), [("memory", 50, 15), ("aws_endpoint", 10, 12), ("sqlite_endpoint", 20, 12)]
)
def test_limits_hold_and_nothing_is_lost_in_any_order(
    request: pytest.FixtureRequest, store: str, examples: int, steps: int
) -> None:
    run(None if store == "memory" else request.getfixturevalue(store), examples, steps)


@pytest.mark.slow
def test_limits_hold_and_nothing_is_lost_in_any_order_in_ministack(stack: str) -> None:
    run(stack, 8, 12)


def run(endpoint: str | None, examples: int, steps: int) -> None:
    machine = type("Here", (GatewayMachine,), {"endpoint": endpoint})
    run_machine(machine, settings=settings(QUICK, max_examples=examples, stateful_step_count=steps))
