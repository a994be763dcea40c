"""Asks the service of a guardrail, a webhook or Amazon Bedrock. Each is loaded with its first query."""

import asyncio

from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.errors import GuardrailUnavailable, InvalidRequest, NotConfigured, StoreUnavailable, UpstreamError
from tidegate.lazy import load
from tidegate.upstream.guardrails.client import GuardrailClient

_MODULES = {"webhook": "tidegate.upstream.guardrails.webhook", "bedrock": "tidegate.upstream.guardrails.bedrock"}


class GuardrailBackends(GuardrailClient, frozen=True):
    """Port `GuardrailBackend`: each service with the client that it needs."""

    async def judge(self, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
        """See `GuardrailBackend.judge`. The error contains neither the texts nor the secret."""
        judge = load(_MODULES[guardrail.kind], "judge")
        try:
            async with asyncio.timeout(query.timeout_seconds):
                return await judge(self, guardrail, query)
        except (TimeoutError, UpstreamError, InvalidRequest, NotConfigured, StoreUnavailable):
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} did not return a verdict.") from None
