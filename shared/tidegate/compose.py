"""Composes a gateway from settings, connections and stores.

`aws.gateway` supplies the stores in AWS, `memory.world` those in memory; everything else is equal, and is made here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from msgspec import Struct

from tidegate import catalog
from tidegate.domain.deployment import ProviderConfig
from tidegate.domain.guardrails import GuardrailBackend
from tidegate.gateway import Gateway
from tidegate.lazy import load
from tidegate.pipeline.components import no_response_states, no_traces
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.pipeline.plan import Plan, Plans
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.provider_config import load_provider_configs
from tidegate.policy.routing.retry import Retries
from tidegate.policy.routing.router import Router
from tidegate.ports import (
    AccessTokens,
    BudgetAlerts,
    Cooldowns,
    IdempotencyClaims,
    KeyLookup,
    Ledger,
    Meter,
    ReasoningSignatures,
    ReplyStore,
    ResponseStates,
    Secrets,
    Telemetry,
    Traces,
    UrlFetcher,
    UsageReader,
    Vault,
)
from tidegate.providers import Registry
from tidegate.providers.compatible_row import Row
from tidegate.settings import Settings
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys
from tidegate.upstream.attempt import Upstream

OnCooldowns: TypeAlias = Callable[[str | None, Mapping[str, float]], None]
"""Takes cooldowns of other processes, like `Balancer.merge_remote`."""


class Stores(Struct, frozen=True):
    """The ports over the stores of one world. `open_…` gives ports that few calls need, and loads their modules."""

    key_lookup: KeyLookup
    ledger: Ledger
    meter: Meter
    cooldowns: Cooldowns
    open_budget_alerts: Callable[[], BudgetAlerts]
    open_usages: Callable[[], UsageReader]
    open_signatures: Callable[[], ReasoningSignatures]
    open_reply_stores: Callable[[], tuple[ReplyStore, IdempotencyClaims]]
    vault: Vault | None = None
    open_traces: Callable[[], Traces | None] = no_traces
    open_response_states: Callable[[], ResponseStates | None] = no_response_states


class Connections(Struct, frozen=True):
    """Connections to providers: the transport, the operator's secrets, and the keys that sign requests to AWS.

    Without `aws_keys`, Bedrock is not available, and Vertex AI needs a key of its own. The caller closes `http`.
    """

    http: Transport
    secrets: Secrets
    aws_keys: AwsKeys | None = None


def _unwrapped(transport: Transport) -> Transport:
    return transport


class Overrides(Struct, frozen=True):
    """Changes of a gateway for the local server and for tests.

    `rows` are additional providers, `wrap` replaces the transport to providers, guardrail services and the OIDC
    issuer, `change_plan` each plan. The other fields replace the component of their name.
    """

    rows: Sequence[Row] = ()
    wrap: Callable[[Transport], Transport] = _unwrapped
    fetcher: UrlFetcher | None = None
    meter: Meter | None = None
    retries: Retries | None = None
    change_plan: Callable[[Plan], Plan] | None = None


NO_OVERRIDES = Overrides()


async def compose_gateway(
    settings: Settings,
    connections: Connections,
    create_stores: Callable[[OnCooldowns], Stores],
    overrides: Overrides = NO_OVERRIDES,
) -> Gateway:
    """Compose the gateway. Its stores are created with the function that takes their cooldowns.

    Raises `StoreUnavailable` if the settings of providers cannot be read, and `ConfigurationError`.
    """
    rows = [*settings.providers, *overrides.rows]
    providers = Registry(rows, allowed_price_fields=settings.allowed_price_fields)
    models = _catalog(rows)
    balancer = Balancer(models)
    stores = create_stores(balancer.merge_remote)
    configs = await load_provider_configs(providers.specs(), connections.secrets)
    transport, aws_keys, secrets = overrides.wrap(connections.http), connections.aws_keys, connections.secrets
    if not configs["vertex"].missing_settings:
        secrets = load("tidegate.identity.choose", "add_google_tokens")(
            secrets, transport, aws_keys, settings.aws.region
        )

    def open_fetcher() -> UrlFetcher:
        return overrides.fetcher or load("tidegate.transport.media_fetcher", "MediaFetcher")(connections.http)

    def open_guardrail_backend() -> GuardrailBackend:
        create = load("tidegate.upstream.guardrails.backends", "GuardrailBackends")
        return create(transport, secrets, open_fetcher(), settings.aws.region, aws_keys)

    return Gateway(
        authenticator=Authenticator(stores.key_lookup, access_tokens=_access_tokens(settings, transport)),
        router=_router(settings, configs, providers, models),
        plans=Plans(overrides.change_plan),
        providers=providers,
        upstream=Upstream(transport, secrets, aws_keys),
        meter=overrides.meter or stores.meter,
        ledger=stores.ledger,
        open_usages=stores.open_usages,
        open_budget_alerts=stores.open_budget_alerts,
        open_signatures=stores.open_signatures,
        open_fetcher=open_fetcher,
        catalog=models,
        balancer=balancer,
        cooldowns=stores.cooldowns,
        guardrails=GuardrailSelection(settings.guardrails, open_guardrail_backend),
        timeout_seconds=settings.timeout_seconds,
        timeout_rules=settings.timeout_rules,
        workspace_keys=WorkspaceKeys(stores.vault),
        reuse=ReuseLoader(stores.open_reply_stores),
        retries=overrides.retries or Retries(),
        keeps_reasoning=settings.keeps_reasoning,
        open_traces=stores.open_traces if settings.keeps_traces else no_traces,
        open_response_states=stores.open_response_states if settings.keeps_responses else no_response_states,
        shows_upstream_urls=settings.shows_upstream_urls,
        open_telemetry=_telemetry_opener(settings, connections, transport),
    )


def _catalog(rows: Sequence[Row]) -> catalog.Catalog:
    declared = {row.name: row.models for row in rows if row.models}
    models = catalog.load_catalog()
    return load("tidegate.catalog.declared_catalog", "DeclaredCatalog")(models, declared) if declared else models


def _router(
    settings: Settings, configs: Mapping[str, ProviderConfig], providers: Registry, models: catalog.Catalog
) -> Router:
    undeclared = frozenset(row.name for row in settings.providers if not row.models)
    return Router(configs, providers.aliases(), models, settings.default_provider, settings.routes, undeclared)


def _telemetry_opener(
    settings: Settings, connections: Connections, transport: Transport
) -> Callable[[], Telemetry] | None:
    """Return what opens the connection to the operator's collector; None without one."""
    endpoint, signals, name = settings.otlp_endpoint, settings.otlp_signals, settings.service_name
    if endpoint is None:
        return None

    @cache
    def open_telemetry() -> Telemetry:
        create = load("tidegate.upstream.otlp", "OtlpTelemetry")
        return create(endpoint, signals, name, transport, connections.secrets, connections.aws_keys)

    return open_telemetry


def _access_tokens(settings: Settings, transport: Transport) -> AccessTokens | None:
    if settings.oidc is None:
        return None
    return load("tidegate.identity.choose", "create_access_tokens")(settings.oidc, transport)
