"""The gateway on AWS: DynamoDB, Secrets Manager, and the providers that the environment and the secret configure."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module

from tidegate import catalog
from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import connect
from tidegate.aws.events import events_of
from tidegate.aws.key_lookup import DynamoDirectory
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.secrets import CachedSecrets, SecretsManager
from tidegate.aws.signatures import DynamoSignatures
from tidegate.aws.store import Store
from tidegate.aws.tenants import DynamoUsages
from tidegate.aws.vault import vault_of
from tidegate.gateway import Gateway
from tidegate.identity.choose import access_tokens, google_secrets
from tidegate.pipeline.lazy_reuse import Reuse
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import OwnKeys
from tidegate.policy.guardrails.selection import Guards
from tidegate.policy.routing.balancer import Balancing
from tidegate.policy.routing.provider_config import endpoints
from tidegate.policy.routing.router import Router
from tidegate.ports import Secrets, Vault
from tidegate.providers import ALIASES, Registry
from tidegate.providers.compatible_row import Row
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.aws_credentials import AwsIdentity, Credentials
from tidegate.transport.base import Transport
from tidegate.transport.choose import transport
from tidegate.transport.media_fetcher import Fetcher
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.guardrails.backends import Judges


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
    http = transport(settings.transport)
    try:
        aws = settings.aws
        credentials = find_credentials(settings.environment)
        store = Store(
            connect(http, table_credentials or credentials, aws.region, aws.dynamodb_endpoint), settings.table
        )
        secrets: Secrets = EnvironmentSecrets(settings.environment)
        identity = AwsIdentity(credentials, http)
        if settings.provider_secret:
            source = SecretsManager(http, identity, settings.provider_secret, aws.region, aws.secrets_endpoint)
            secrets = CachedSecrets(source, settings.environment)
        providers = Registry([*settings.providers, *rows])
        models = catalog.load()
        configured = await endpoints(providers.known(), secrets)
        balancing = Balancing(models)
        cooldowns = DynamoCooldowns(store, balancing.learn, has_routes=bool(settings.routes))
        way = wrap(http)
        if not configured["vertex"].missing:
            secrets = google_secrets(secrets, way, identity, aws.region)
        ledger = DynamoLedger(store)
        router = Router(configured, ALIASES, models, settings.default_provider, settings.routes)
        yield Gateway(
            authenticator=Authenticator(DynamoDirectory(store, cooldowns), tokens=access_tokens(settings.oidc, way)),
            router=router,
            providers=providers,
            upstream=Upstream(way, secrets, identity),
            meter=DynamoMeter(store, ledger.full),
            ledger=ledger,
            usages=DynamoUsages(store),
            events=events_of(settings, http, identity),
            signatures=DynamoSignatures(store),
            fetcher=Fetcher(http),
            catalog=models,
            balancing=balancing,
            cooldowns=cooldowns,
            guards=Guards(settings.guardrails, Judges(way, secrets, Fetcher(http), aws.region, identity)),
            timeout_seconds=settings.timeout_seconds,
            timetable=settings.timetable,
            own_keys=OwnKeys(vault or vault_of(settings, http, identity)),
            reuse=Reuse(lambda: import_module("tidegate.aws.reply_store").rooms_of(settings, store)),
        )
    finally:
        await http.close()
