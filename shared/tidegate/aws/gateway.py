"""The gateway on AWS: DynamoDB, Secrets Manager, and the providers that the environment and the secret configure."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache

from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.world import AwsWorld
from tidegate.compose import NO_OVERRIDES, Connections, OnCooldowns, Overrides, Stores, compose_gateway
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway
from tidegate.lazy import load
from tidegate.ports import Secrets
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.aws_credentials import Credentials

_WAITING = frozenset({"snap-start", "provisioned-concurrency"})
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (2026-11)."""


async def create_aws_gateway(world: AwsWorld, overrides: Overrides = NO_OVERRIDES) -> Gateway:
    """Compose the gateway of a world, which must stay open.

    Raises `StoreUnavailable` when the provider secret cannot be read, and `ConfigurationError`.
    """
    settings, store = world.settings, world.store

    def create_stores(on_cooldowns: OnCooldowns) -> Stores:
        cooldowns = DynamoCooldowns(store, on_cooldowns, has_routes=bool(settings.routes))
        ledger = DynamoLedger(store)
        return Stores(
            key_lookup=DynamoKeyLookup(store, cooldowns),
            ledger=ledger,
            meter=DynamoMeter(store, ledger.full_shards),
            cooldowns=cooldowns,
            open_budget_alerts=world.budget_alerts,
            open_usages=lambda: load("tidegate.aws.tenants", "DynamoUsageReader")(store),
            open_signatures=lambda: load("tidegate.aws.signatures", "DynamoReasoningSignatures")(store),
            open_reply_stores=lambda: load("tidegate.aws.reply_store", "configured_reply_stores")(
                settings, store, world.objects
            ),
            vault=world.vault,
            open_traces=cache(lambda: load("tidegate.aws.traces", "create_traces")(world)),
            open_response_states=cache(lambda: load("tidegate.aws.response_states", "create_response_states")(world)),
        )

    connections = Connections(world.http, _provider_secrets(world), world.signing_keys)
    return await compose_gateway(settings, connections, create_stores, overrides)


@asynccontextmanager
async def open_aws_gateway(
    settings: Settings, overrides: Overrides = NO_OVERRIDES, *, table_credentials: Credentials | None = None
) -> AsyncGenerator[Gateway]:
    """Open a world of its own for a gateway; leaving the context closes it. Raises like `create_aws_gateway`."""
    async with AwsWorld(settings, table_credentials=table_credentials) as world:
        yield await create_aws_gateway(world, overrides)


class AwsDataPlane:
    """The world of one process, with its gateway, and with its batches from the first request that needs them.

    app = build_app(plane.open_gateway, options, open_batches=plane.open_batches)
    """

    def __init__(self, settings: Settings, endpoints: Mapping[str, tuple[Surface, Operation]]) -> None:
        self._settings, self._endpoints = settings, endpoints
        self._world: AwsWorld | None = None

    @asynccontextmanager
    async def open_gateway(self) -> AsyncGenerator[Gateway]:
        """Open the world for the gateway; leaving the context closes it. Raises like `create_aws_gateway`.

        A process that Lambda starts before there is a call loads what calls will need.
        """
        async with AwsWorld(self._settings) as self._world:
            gateway = await create_aws_gateway(self._world)
            if self._settings.environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") in _WAITING:
                load("tidegate.aws.warmup", "warm_up")(gateway)
            yield gateway

    @asynccontextmanager
    async def open_batches(self, gateway: Gateway) -> AsyncGenerator[Callable[[], object]]:
        """Give a function that returns the batch engine's components, None if the settings name no bucket."""
        yield cache(lambda: load("tidegate.aws.batches", "create_aws_batches")(self._world, gateway, self._endpoints))


def _provider_secrets(world: AwsWorld) -> Secrets:
    settings = world.settings
    if settings.provider_secret is None:
        return EnvironmentSecrets(settings.environment)
    create = load("tidegate.aws.secrets", "create_provider_secrets")
    return create(world.http, world.signing_keys, settings.aws, settings.provider_secret, settings.environment)
