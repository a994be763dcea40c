"""The gateway and the control plane in memory: for tests, benchmarks and `serve --store memory`.

Everything that is stored is lost when the process ends.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeAlias

from tidegate.batch.workspace_cleanup import WorkspaceCleanup
from tidegate.compose import NO_OVERRIDES, Connections, OnCooldowns, Overrides, Stores, compose_gateway
from tidegate.control.control import Control
from tidegate.gateway import Gateway
from tidegate.memory.aggregates import MemoryAggregates, MemoryRollup
from tidegate.memory.batch_objects import MemoryBatchObjects
from tidegate.memory.batch_table import MemoryBatchTable
from tidegate.memory.cooldowns import MemoryCooldowns
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MAX_CALLS, MemoryMeter
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.memory.resources import MemoryResources
from tidegate.memory.signatures import MemoryReasoningSignatures
from tidegate.memory.tenants import MemoryTenants
from tidegate.memory.traces import MemoryTraces
from tidegate.memory.vault import MemoryVault
from tidegate.policy.metering.alerts import LogBudgetAlerts
from tidegate.policy.metering.roller import SERVER_PAUSE_FACTOR, Roller
from tidegate.ports import Keys, Tenants
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.choose import create_transport

Seed: TypeAlias = Callable[[Tenants, Keys], Awaitable[None]]
"""Creates the first workspaces and keys."""


class MemoryWorld:
    """The connections and stores of one process. Leaving its context closes `http`.

    `credentials` are those of this process at AWS, for Bedrock and Vertex AI; without them, both need their own keys.
    """

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        self.settings = settings
        self.http = create_transport(settings.transport)
        self.signing_keys = SigningKeys(credentials, self.http) if credentials else None
        self.tenants, self.ledger, self.vault = MemoryTenants(), MemoryLedger(), MemoryVault()
        self.meter = MemoryMeter(ledger=self.ledger)
        self.aggregates = MemoryAggregates(self.meter)
        self.batch_table, self.batch_objects = MemoryBatchTable(), MemoryBatchObjects()
        self.traces, self.response_states = MemoryTraces(), MemoryTraces()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.http.close()


async def create_memory_gateway(world: MemoryWorld, overrides: Overrides = NO_OVERRIDES) -> Gateway:
    """Compose the gateway of a world, which must stay open. Raises `ConfigurationError`."""

    def create_stores(on_cooldowns: OnCooldowns) -> Stores:
        replies, signatures = MemoryReplyStore(), MemoryReasoningSignatures()
        return Stores(
            key_lookup=world.tenants,
            ledger=world.ledger,
            meter=world.meter,
            cooldowns=MemoryCooldowns(on_cooldowns),
            open_budget_alerts=LogBudgetAlerts,
            open_usages=lambda: world.meter,
            open_signatures=lambda: signatures,
            open_reply_stores=lambda: (replies, replies),
            vault=world.vault,
            open_traces=lambda: world.traces,
            open_response_states=lambda: world.response_states,
        )

    connections = Connections(world.http, EnvironmentSecrets(world.settings.environment), world.signing_keys)
    return await compose_gateway(world.settings, connections, create_stores, overrides)


def create_memory_control(world: MemoryWorld) -> Control:
    """Compose the control plane over the stores of a world."""
    resources = MemoryResources(world.tenants, world.ledger, world.meter)
    oidc = world.settings.oidc
    return Control(
        resources,
        world.meter,
        world.ledger,
        vault=world.vault,
        issuer=oidc.url if oidc else None,
        batches=WorkspaceCleanup(world.batch_table, world.batch_objects),
        aggregates=world.aggregates,
        traces=world.traces,
        response_states=world.response_states,
    )


def create_memory_rollup(world: MemoryWorld) -> MemoryRollup:
    """Create the run of the roller over all workspaces of a world. One page has all records: each page is a scan."""
    roller = Roller(world.aggregates, page_records=MAX_CALLS, pause_factor=SERVER_PAUSE_FACTOR)
    return MemoryRollup(world.tenants, roller)


@asynccontextmanager
async def open_memory_gateway(
    settings: Settings,
    overrides: Overrides = NO_OVERRIDES,
    *,
    seed: Seed | None = None,
    credentials: Credentials | None = None,
) -> AsyncGenerator[Gateway]:
    """Open a world of its own for a gateway; leaving the context closes it. `seed` is called first."""
    async with MemoryWorld(settings, credentials) as world:
        if seed is not None:
            await seed(world.tenants, world.tenants)
        yield await create_memory_gateway(world, overrides)
