"""The gateway in memory: for tests, benchmarks and `serve --store memory`. What it knows ends with the process."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tidegate import catalog
from tidegate.gateway import Gateway
from tidegate.identity.choose import add_google_tokens, create_access_tokens
from tidegate.memory.cooldowns import MemoryCooldowns
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.memory.signatures import MemoryReasoningSignatures
from tidegate.memory.tenants import MemoryTenants
from tidegate.memory.vault import MemoryVault
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.provider_config import load_provider_configs
from tidegate.policy.routing.router import Router
from tidegate.ports import Keys, Meter, Secrets, Tenants
from tidegate.providers import Registry
from tidegate.providers.compatible_row import Row
from tidegate.settings import EnvironmentSecrets, Settings
from tidegate.transport.base import Transport
from tidegate.transport.choose import create_transport
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.transport.sigv4 import AwsKeys
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.guardrails.backends import GuardrailBackends


@asynccontextmanager
async def compose(
    settings: Settings,
    rows: Sequence[Row] = (),
    wrap: Callable[[Transport], Transport] = lambda inner: inner,
    seed: Callable[[Tenants, Keys], Awaitable[None]] | None = None,
    meter: Meter | None = None,
    fetcher: MediaFetcher | None = None,
    identity: Callable[[Transport], AwsKeys] | None = None,
) -> AsyncGenerator[Gateway]:
    """The gateway for as long as the context lives; `seed` puts the first workspaces and keys into it.

    `identity` is who this process is at AWS, for Bedrock and for Vertex AI; without it, they need keys of their own.
    """
    http = create_transport(settings.transport)
    try:
        tenants, ledger = MemoryTenants(), MemoryLedger()
        kept, replies = MemoryMeter(ledger=ledger), MemoryReplyStore()
        if seed is not None:
            await seed(tenants, tenants)
        secrets: Secrets = EnvironmentSecrets(settings.environment)
        providers = Registry([*settings.providers, *rows])
        models = catalog.load_catalog()
        configured = await load_provider_configs(providers.specs(), secrets)
        balancing = Balancer(models)
        way, aws_keys = wrap(http), identity(http) if identity else None
        if not configured["vertex"].missing_settings:
            secrets = add_google_tokens(secrets, way, aws_keys, settings.aws.region)
        judges = GuardrailBackends(way, secrets, fetcher or MediaFetcher(http), settings.aws.region, aws_keys)
        yield Gateway(
            authenticator=Authenticator(tenants, access_tokens=create_access_tokens(settings.oidc, way)),
            router=Router(configured, providers.aliases(), models, settings.default_provider, settings.routes),
            providers=providers,
            upstream=Upstream(way, secrets, aws_keys),
            meter=meter or kept,
            ledger=ledger,
            usages=kept,
            signatures=MemoryReasoningSignatures(),
            fetcher=fetcher or MediaFetcher(http),
            catalog=models,
            balancer=balancing,
            cooldowns=MemoryCooldowns(balancing.merge_remote),
            guardrails=GuardrailSelection(settings.guardrails, judges),
            timeout_seconds=settings.timeout_seconds,
            timeout_rules=settings.timeout_rules,
            workspace_keys=WorkspaceKeys(MemoryVault()),
            reuse=ReuseLoader(lambda: (replies, replies)),
        )
    finally:
        await http.close()
