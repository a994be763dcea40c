"""The gateway in memory: for tests, benchmarks and `serve --store memory`. What it knows ends with the process."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tidegate import catalog
from tidegate.gateway import Gateway
from tidegate.identity.choose import access_tokens, google_secrets
from tidegate.memory.cooldowns import MemoryCooldowns
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.reply_store import MemoryReplies
from tidegate.memory.signatures import MemorySignatures
from tidegate.memory.tenants import MemoryTenants
from tidegate.memory.vault import MemoryVault
from tidegate.pipeline.lazy_reuse import Reuse
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import OwnKeys
from tidegate.policy.guardrails.selection import Guards
from tidegate.policy.routing.balancer import Balancing
from tidegate.policy.routing.provider_config import endpoints
from tidegate.policy.routing.router import Router
from tidegate.ports import Keys, Meter, Secrets, Tenants
from tidegate.providers import ALIASES, Registry
from tidegate.providers.compatible_row import Row
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.base import Transport
from tidegate.transport.choose import transport
from tidegate.transport.media_fetcher import Fetcher
from tidegate.transport.sigv4 import AwsKeys
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.guardrails.backends import Judges


@asynccontextmanager
async def compose(
    settings: Settings,
    rows: Sequence[Row] = (),
    wrap: Callable[[Transport], Transport] = lambda inner: inner,
    seed: Callable[[Tenants, Keys], Awaitable[None]] | None = None,
    meter: Meter | None = None,
    fetcher: Fetcher | None = None,
    identity: Callable[[Transport], AwsKeys] | None = None,
) -> AsyncGenerator[Gateway]:
    """The gateway for as long as the context lives; `seed` puts the first workspaces and keys into it.

    `identity` is who this process is at AWS, for Bedrock and for Vertex AI; without it, they need keys of their own.
    """
    http = transport(settings.transport)
    try:
        tenants, ledger = MemoryTenants(), MemoryLedger()
        kept, replies = MemoryMeter(ledger=ledger), MemoryReplies()
        if seed is not None:
            await seed(tenants, tenants)
        secrets: Secrets = EnvironmentSecrets(settings.environment)
        providers = Registry([*settings.providers, *rows])
        models = catalog.load()
        configured = await endpoints(providers.known(), secrets)
        balancing = Balancing(models)
        way, aws_keys = wrap(http), identity(http) if identity else None
        if not configured["vertex"].missing:
            secrets = google_secrets(secrets, way, aws_keys, settings.aws.region)
        judges = Judges(way, secrets, fetcher or Fetcher(http), settings.aws.region, aws_keys)
        yield Gateway(
            authenticator=Authenticator(tenants, tokens=access_tokens(settings.oidc, way)),
            router=Router(configured, ALIASES, models, settings.default_provider, settings.routes),
            providers=providers,
            upstream=Upstream(way, secrets, aws_keys),
            meter=meter or kept,
            ledger=ledger,
            usages=kept,
            signatures=MemorySignatures(),
            fetcher=fetcher or Fetcher(http),
            catalog=models,
            balancing=balancing,
            cooldowns=MemoryCooldowns(balancing.learn),
            guards=Guards(settings.guardrails, judges),
            timeout_seconds=settings.timeout_seconds,
            timetable=settings.timetable,
            own_keys=OwnKeys(MemoryVault()),
            reuse=Reuse(lambda: (replies, replies)),
        )
    finally:
        await http.close()
