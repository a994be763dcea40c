"""What a call's requests to DynamoDB cost: how many there are, and how many units they take."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.limits.units import READ, WRITE, Charge, Counting, counting, item_bytes
from tests.store_worlds import ALL_LIMITS, CREDENTIALS, NOON, REGION, Clock, World, aws_world, hold, outcome, workspace
from tests.world import KEY, USER, WORKSPACE, Exchange, completion
from tidegate.api.app import build_app
from tidegate.aws.aggregates import create_rollup
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.gateway import open_aws_gateway
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter, record_item
from tidegate.aws.store import Store
from tidegate.aws.table import COUNTED_HOURLY
from tidegate.aws.values import to_attributes
from tidegate.compose import Overrides
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.call_event import CallEvent
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.settlement import build_settlement
from tidegate.domain.usage import TokenCounts
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.settings import Settings
from tidegate.transport.httpx import HttpxTransport

NONE = Limits()
TRACE_BYTES = 32 + len("trace_id")
"""Room for the id of a trace."""

SETTLED = [Charge("PutItem", written=1), Charge("UpdateItem", written=1)]
"""A record, and its counters."""

BODY: Any = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 1000}


@dataclass(frozen=True)
class Place:
    """A gateway whose requests to the table are counted."""

    world: World
    app: Any
    counted: Counting
    clock: Clock

    async def call(self, status: int = 200) -> list[Charge]:
        """What one call is charged, which is answered so."""
        self.counted.charges.clear()
        exchange = Exchange(self.app, BODY, "/v1/chat/completions", {"x-workspace-id": WORKSPACE.id})
        await exchange.run()
        assert exchange.reply().status == status, exchange.body
        return list(self.counted.charges)

    async def open(self, calls: int) -> None:
        """As many calls more that have not ended."""
        scope = AccountScope("workspace", WORKSPACE.id, ALL_LIMITS)
        amounts = Amounts(1036, 750, Decimal("0.0016144"))
        for _ in range(calls):
            at = self.clock.now + 0.123456
            hold = Hold(ulid(at), WORKSPACE.id, KEY.id, str(BODY["model"]), amounts, 36, at, at + 660)
            await self.world.ledger.reserve(Reservation(hold, (scope,)))


@asynccontextmanager
async def place(endpoint: str, limits: Limits, key_limits: Limits) -> AsyncIterator[Place]:
    counted = counting(endpoint)

    @asynccontextmanager
    async def composed() -> AsyncIterator[Any]:
        assert world.store is not None
        store = Store(
            create_dynamo_client(counted, CREDENTIALS, REGION, endpoint), world.store.table, clock, timeout_seconds=60
        )
        env = {"TIDEGATE_TABLE": store.table, "AWS_REGION": REGION, "OPENAI_API_KEY": "provider-secret"}
        provider = httpx.MockTransport(lambda _: httpx.Response(200, json=completion()))
        overrides = Overrides(wrap=lambda _: HttpxTransport(provider))
        async with open_aws_gateway(Settings.from_env(env), overrides) as gateway:
            yield replace(
                gateway,
                authenticator=Authenticator(DynamoKeyLookup(store), monotonic=clock, clock=clock),
                meter=DynamoMeter(store),
                ledger=DynamoLedger(store),
                clock=clock,
            )

    async with aws_world(endpoint) as world:
        clock = world.clock
        await world.tenants.put_workspace(replace(WORKSPACE, limits=limits))
        await world.keys.put_key(replace(KEY, default_workspace_id=WORKSPACE.id, limits=key_limits))
        app = build_app(composed, ServerOptions())
        async with app.lifespan() as state:
            app.lifespan_state = state
            yield Place(world, app, counted, clock)
        await counted.close()


@pytest.mark.parametrize(
    ("limits", "key_limits", "writes"),
    [
        (NONE, NONE, SETTLED),
        (
            ALL_LIMITS,
            NONE,
            [Charge("UpdateItem", written=1), *SETTLED[:1], Charge("UpdateItem", written=1), *SETTLED[1:]],
        ),
        (
            *(ALL_LIMITS, ALL_LIMITS),
            [
                Charge("TransactWriteItems", written=4),
                *(*SETTLED[:1], Charge("UpdateItem", written=1), Charge("UpdateItem", written=1), *SETTLED[1:]),
            ],
        ),
    ],
)
async def test_a_call_is_two_to_five_writes_and_one_read_at_most(
    aws_endpoint: str, limits: Limits, key_limits: Limits, writes: list[Charge]
) -> None:
    read = Charge("BatchGetItem", read=2)
    async with place(aws_endpoint, limits, key_limits) as here:
        await here.call()  # opens the accounts, with what was used before
        assert await here.call() == writes
        # An hour later, nothing of the caller is cached any more, and the minute is a new one.
        here.clock.now += 3600
        assert await here.call() == [read, *writes]
        here.clock.now += 30
        assert await here.call() == writes


async def test_accounts_are_charged_by_their_open_calls(aws_endpoint: str) -> None:
    async with place(aws_endpoint, ALL_LIMITS, NONE) as here:
        await here.call()
        written: list[int] = []
        for more in (10, 15, 75):
            await here.open(more)
            written.append(sum(charge.written for charge in await here.call()))
        # With 10, 25 and 100 calls open.
        assert written == [6, 10, 32]


async def test_what_is_refused_is_read_once(aws_endpoint: str) -> None:
    async with place(aws_endpoint, replace(ALL_LIMITS, tokens_per_day=1500), NONE) as here:
        await here.open(1)
        charges = await here.call(429)
        assert charges[-4:] == [Charge("UpdateItem", written=1), Charge("BatchGetItem", read=1), *SETTLED]


async def test_a_late_call_is_one_transaction(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as world:
        assert world.store is not None
        counted = counting(aws_endpoint)
        client = create_dynamo_client(counted, CREDENTIALS, REGION, aws_endpoint)
        meter = DynamoMeter(Store(client, world.store.table, Clock(NOON + 7200), timeout_seconds=60))
        await meter.record(outcome())
        assert counted.charges == [Charge("TransactWriteItems", written=4)]
        await counted.close()


async def test_an_hour_is_closed_by_two_writes(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as world:
        assert world.store is not None
        counted = counting(aws_endpoint)
        client = create_dynamo_client(counted, CREDENTIALS, REGION, aws_endpoint)
        rollup = create_rollup(Store(client, world.store.table, Clock(NOON + 7200), timeout_seconds=60))
        await rollup.closer.close(workspace(), inf)
        assert counted.charges == [Charge("Query", read=1)] * 2  # of a workspace without calls
        counted.charges.clear()
        for number in range(60):
            await world.meter.record(outcome(at=NOON + number))
        await rollup.closer.close(workspace(), inf)
        assert sum(charge.written for charge in counted.charges) == 2
        records = await world.store.query("WS#ws_one", "CALL#")
        size = math.ceil(sum(item_bytes(to_attributes(record)) for record in records) / READ)
        # Counters; the oldest record; all records.
        assert [charge.read for charge in counted.charges if charge.read] == [1, 1, size]
        await counted.close()


async def test_the_record_of_a_usual_call_is_one_unit_also_with_long_names() -> None:
    deployment = Deployment(
        "bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "https://bedrock.invalid", label="writing#2"
    )
    made = outcome(workspace_id=f"ws_{'a' * 20}", deployment=deployment, tokens=TokenCounts(11_234, 2_345, 9_876, 120))
    request = made.call.request.with_model(deployment.model_id)
    call = replace(
        made.call,
        request=request,
        principal=replace(made.call.principal, key_id=f"key_{'b' * 20}"),
        endpoint="/v1/chat/completions",
        app_id="newsletter-writer",
        session_id="0b3c2a52-6d21-4a34-9c3e-7b9a2d9a1f10",
        agent_id="a1f10b3c2a526d21",
        parent_agent_id="a4f3a2b1c0d9e8f7a",
    )
    names = ("authenticated", "received", "cache", "guardrails", "reserved", "attempt", "first_token", "last_token")
    details = {"cache": "miss", "guardrails": "input", "attempt": "first"}
    events = [
        CallEvent(1.5 * n, name, details.get(name, ""), deployment.display_name if name == "attempt" else "")
        for n, name in enumerate(names)
    ]
    ended = replace(
        made,
        call=call,
        finished_at=call.started_at + 12.345678,
        first_event_seconds=9.123456,
        hold=hold(call.id, Amounts(30_000, 1_500, Decimal("0.123456789"))),
        events=(*events, CallEvent(12.345678, "settled")),
        ignored=("seed", "logit_bias"),
        guardrails={"personal-data": "mask", "secrets": "pass"},
        generation_seconds=3.2,
    )
    size = item_bytes(to_attributes(record_item(build_settlement(ended))))
    assert size + TRACE_BYTES + len(COUNTED_HOURLY) + 8 < WRITE, size
