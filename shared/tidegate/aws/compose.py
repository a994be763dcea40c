"""The gateway on AWS: DynamoDB, Secrets Manager, and the providers that the environment and the secret configure."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from tidegate import catalog
from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.events import configured_budget_alerts
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.secrets import CachedSecrets, provider_secret
from tidegate.aws.signatures import DynamoReasoningSignatures
from tidegate.aws.store import Store
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.aws.vault import configured_vault
from tidegate.gateway import Gateway
from tidegate.identity.choose import add_google_tokens, create_access_tokens
from tidegate.lazy import load
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.provider_config import load_provider_configs
from tidegate.policy.routing.router import Router
from tidegate.ports import Secrets, Vault
from tidegate.providers import Registry
from tidegate.providers.compatible_row import Row
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.base import Transport
from tidegate.transport.choose import create_transport
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.guardrails.backends import GuardrailBackends


@asynccontextmanager
async def compose(
    settings: Settings,
    rows: Sequence[Row] = (),
    wrap: Callable[[Transport], Transport] = lambda inner: inner,
    table_credentials: Credentials | None = None,
    vault: Vault | None = None,
) -> AsyncGenerator[Gateway]:
    """The gateway for as long as the context lives. `rows` are providers beside the known ones, `wrap` their transport;
    `table_credentials` open the table, where that takes others than the process's own; `vault` stands in for the one
    in Secrets Manager.

    Raises `StoreUnavailable` when the provider secret cannot be read, and `ConfigurationError`.
    """
    http = create_transport(settings.transport)
    try:
        aws = settings.aws
        credentials = find_credentials(settings.environment)
        store = Store(
            create_dynamo_client(http, table_credentials or credentials, aws.region, aws.dynamodb_endpoint),
            settings.table,
        )
        secrets: Secrets = EnvironmentSecrets(settings.environment)
        identity = SigningKeys(credentials, http)
        if settings.provider_secret:
            source = provider_secret(http, identity, settings.provider_secret, aws.region, aws.secrets_endpoint)
            secrets = CachedSecrets(source, settings.environment)
        providers = Registry([*settings.providers, *rows])
        models = catalog.load_catalog()
        configured = await load_provider_configs(providers.specs(), secrets)
        balancing = Balancer(models)
        cooldowns = DynamoCooldowns(store, balancing.merge_remote, has_routes=bool(settings.routes))
        way = wrap(http)
        if not configured["vertex"].missing_settings:
            secrets = add_google_tokens(secrets, way, identity, aws.region)
        ledger = DynamoLedger(store)
        router = Router(configured, providers.aliases(), models, settings.default_provider, settings.routes)
        yield Gateway(
            authenticator=Authenticator(
                DynamoKeyLookup(store, cooldowns), access_tokens=create_access_tokens(settings.oidc, way)
            ),
            router=router,
            providers=providers,
            upstream=Upstream(way, secrets, identity),
            meter=DynamoMeter(store, ledger.full_shards),
            ledger=ledger,
            usages=DynamoUsageReader(store),
            events=configured_budget_alerts(settings, http, identity),
            signatures=DynamoReasoningSignatures(store),
            fetcher=MediaFetcher(http),
            catalog=models,
            balancer=balancing,
            cooldowns=cooldowns,
            guardrails=GuardrailSelection(
                settings.guardrails, GuardrailBackends(way, secrets, MediaFetcher(http), aws.region, identity)
            ),
            timeout_seconds=settings.timeout_seconds,
            timeout_rules=settings.timeout_rules,
            workspace_keys=WorkspaceKeys(vault or configured_vault(settings, http, identity)),
            reuse=ReuseLoader(lambda: load("tidegate.aws.reply_store", "configured_reply_stores")(settings, store)),
        )
    finally:
        await http.close()
