"""The rooms behind the ports, as tests furnish them, and values to put into them."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from tests.infra.accesses import GuardedTransport
from tests.infra.roles import ADMIN_ROLE, CHAT_ROLE, role
from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.dynamo import DynamoClient, create_dynamo_client
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.resources import DynamoResources
from tidegate.aws.signatures import DynamoReasoningSignatures
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants, DynamoUsageReader
from tidegate.chat.operation import CHAT
from tidegate.chat.request import parse_chat_request
from tidegate.control.ports import Resources
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.call import Call, Outcome
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import ulid
from tidegate.domain.keys import display_prefix, hash_secret
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.record import call_record
from tidegate.domain.usage import Bill, TokenCounts, WordCounts
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.memory.cooldowns import MemoryCooldowns
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.resources import MemoryResources
from tidegate.memory.signatures import MemoryReasoningSignatures
from tidegate.memory.tenants import MemoryTenants
from tidegate.pipeline.observation import log_fields
from tidegate.ports import Cooldowns, KeyLookup, Keys, Ledger, Meter, ReasoningSignatures, Tenants, UsageReader
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.folder import DataFolder
from tidegate.surfaces.openai import OPENAI
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey

ALL_LIMITS = Limits(
    requests_per_minute=10_000,
    tokens_per_minute=10_000_000,
    parallel_calls=1000,
    tokens_per_day=10**9,
    tokens_per_month=10**10,
    words_per_day=10**9,
    words_per_month=10**10,
    usd_per_day=Decimal(1000),
    usd_per_month=Decimal(10_000),
)
NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z"""

TOKENS = TokenCounts(input=11, output=12, cached=3, written=5, reasoning=2, searches=1)
CREDENTIALS = StaticCredentials(AwsKey("testing", "testing"))
REGION = "eu-central-1"


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class World:
    directory: KeyLookup
    meter: Meter
    tenants: Tenants
    keys: Keys
    usages: UsageReader
    signatures: ReasoningSignatures
    clock: Clock
    ledger: Ledger
    register: Resources
    store: Store | None = None
    cooldowns: Cooldowns | None = None
    heard: dict[str | None, dict[str, float]] = field(default_factory=dict)


def learning(heard: dict[str | None, dict[str, float]]) -> Callable[[str | None, Mapping[str, float]], None]:
    """What health does with cooldowns."""

    def learn(home: str | None, untils: Mapping[str, float]) -> None:
        known = heard.setdefault(home, {})
        known.update({id: max(until, known.get(id, 0)) for id, until in untils.items()})

    return learn


def memory_world() -> World:
    clock = Clock()
    ledger = MemoryLedger(clock)
    tenants, meter = MemoryTenants(), MemoryMeter(clock=clock, ledger=ledger)
    register = MemoryResources(tenants, ledger, meter, clock)
    heard: dict[str | None, dict[str, float]] = {}
    cooldowns = MemoryCooldowns(learning(heard))
    return World(
        *(tenants, meter, tenants, tenants, meter, MemoryReasoningSignatures(clock=clock), clock, ledger, register),
        cooldowns=cooldowns,
        heard=heard,
    )


SQLITE = "sqlite:"
"""The beginning of an endpoint that is a folder of data folders, one for each table."""


@asynccontextmanager
async def sqlite_store(endpoint: str, table: str, clock: Callable[[], float]) -> AsyncIterator[Store]:
    """The table in its data folder, which is created unless it exists."""
    folder = DataFolder(Path(endpoint.removeprefix(SQLITE)) / table)
    folder.create()
    client = SqliteClient(folder.database)
    yield Store(client, table, clock, timeout_seconds=60)
    client.close()


@asynccontextmanager
async def aws_world(endpoint: str) -> AsyncIterator[World]:
    """A new table in the server at `endpoint`, or in a folder there."""
    clock = Clock()
    if endpoint.startswith(SQLITE):
        async with sqlite_store(endpoint, f"tidegate-{uuid.uuid4()}", clock) as store:
            yield world_of(store, clock)
        return
    transport = ReqwestTransport()
    client = create_dynamo_client(transport, CREDENTIALS, REGION, endpoint)
    # Patience for a moto that shares a busy machine with the rest of the suite.
    store = Store(client, f"tidegate-{uuid.uuid4()}", clock, timeout_seconds=60)
    await create_table(client, store.table)
    yield world_of(store, clock)
    await transport.close()


def world_of(store: Store, clock: Clock) -> World:
    """The ports over a table, each with no more than the role of its function allows."""
    calls, control = with_role(store, CHAT_ROLE), with_role(store, ADMIN_ROLE)
    ledger, heard = DynamoLedger(calls), dict[str | None, dict[str, float]]()
    cooldowns = DynamoCooldowns(calls, learning(heard), has_routes=True)
    return World(
        DynamoKeyLookup(calls, cooldowns),
        DynamoMeter(calls, ledger.full_shards),
        DynamoTenants(store),
        DynamoKeys(store),
        DynamoUsageReader(control),
        DynamoReasoningSignatures(calls),
        clock,
        ledger,
        DynamoResources(control),
        store,
        cooldowns,
        heard,
    )


def with_role(store: Store, name: str) -> Store:
    """The store, which fails where the template's role of that name does not allow a request. SQLite has no roles."""
    if not isinstance(store.client, DynamoClient):
        return store
    service = store.client.service
    guarded = GuardedTransport(service.transport, role(name))
    return replace(store, client=replace(store.client, service=replace(service, transport=guarded)))


def workspace(id: str = "ws_one") -> Workspace:
    return Workspace(id, f"Workspace {id}", created_at=NOON - 86400.5)


def key(secret: str = "sk-tidegate-one", workspace_ids: tuple[str, ...] = ("ws_one",), **fields: object) -> VirtualKey:
    made = VirtualKey(
        id=f"key_{secret[-3:]}",
        hash=hash_secret(secret),
        prefix=display_prefix(secret),
        workspace_ids=workspace_ids,
        default_workspace_id=None,
        name="test",
        created_at=NOON - 3600.25,
    )
    return replace(made, **fields)


def outcome(
    *,
    at: float = NOON,
    id: str | None = None,
    workspace_id: str = "ws_one",
    tokens: TokenCounts = TOKENS,
    cost_usd: Decimal | None = Decimal("0.00012345"),
    **fields: object,
) -> Outcome:
    body = b'{"model": "demo/echo", "messages": [{"role": "user", "content": "a secret prompt"}], "stream": true}'
    call = Call(
        id=id or ulid(at),
        surface=OPENAI,
        operation=CHAT,
        request=parse_chat_request(body),
        principal=Principal("key_one", (workspace_id,)),
        workspace=workspace(workspace_id),
        started_at=at,
        deadline=at + 600,
        app_id="app",
    )
    made = Outcome(
        call=call,
        status="ok",
        deployment=Deployment("demo", "echo-1", "https://demo.invalid"),
        attempts=1,
        bill=Bill(tokens, WordCounts(used=9, input=8, output=9, method="tokens"), cost_usd),
        finished_at=at + 1.5,
        first_event_seconds=0.25,
        finish_reason="stop",
    )
    return replace(made, **fields)


def call_fields() -> dict[str, Any]:
    """The fields of the log line of `outcome()`."""
    ended = outcome()
    return asdict(log_fields(ended, call_record(ended)))


ASKED = Amounts(tokens=100, words=50, usd=Decimal("0.5"))
USED = Amounts(tokens=23, words=9, usd=Decimal("0.00012345"))
"""Of `outcome()`."""


def hold(id: str | None = None, amounts: Amounts = ASKED, at: float = NOON, **fields: Any) -> Hold:
    made = Hold(id or ulid(at), "ws_one", "key_one", "demo/echo-1", amounts, 40, at, at + 660)
    return replace(made, **fields)


async def hold_tokens(world: World, scope: AccountScope, tokens: int, **fields: Any) -> Hold:
    taken = Hold(ulid(NOON), "ws_one", "key_one", "demo/echo-1", Amounts(tokens), 0, NOON, NOON + 660, **fields)
    await world.ledger.reserve(Reservation(taken, (scope,)))
    return taken
