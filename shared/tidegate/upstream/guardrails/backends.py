"""Who guardrails ask that do not decide themselves: a webhook, or Amazon Bedrock. Each is loaded when first asked."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.errors import (
    GuardrailUnavailable,
    InvalidRequest,
    NotConfigured,
    ProviderMalformed,
    StoreUnavailable,
    UpstreamError,
)
from tidegate.json import Json, decode
from tidegate.lazy import load
from tidegate.ports import Secrets
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.transport.sigv4 import AwsKeys

_MODULES = {"webhook": "tidegate.upstream.guardrails.webhook", "bedrock": "tidegate.upstream.guardrails.bedrock"}


class GuardrailBackends(Struct, frozen=True):
    """The port `Judge`. `fetcher` tells which addresses a workspace's webhook may have. Bedrock is where the provider's
    settings say, or else in `region`.
    """

    transport: Transport
    secrets: Secrets
    fetcher: MediaFetcher
    region: str
    aws_keys: AwsKeys | None = None
    clock: Callable[[], float] = time.time

    async def judge(self, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
        """See `Judge.judge`. What goes wrong is said without the text, and without the secret."""
        judge = load(_MODULES[guardrail.kind], "judge")
        try:
            async with asyncio.timeout(query.timeout_seconds):
                return await judge(self, guardrail, query)
        except (TimeoutError, UpstreamError, InvalidRequest, NotConfigured, StoreUnavailable):
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} did not give its verdict.") from None

    async def fetch_json(self, request: HttpRequest, seconds: float, max_bytes: int) -> Json:
        """The JSON of an answer of 200. Raises `UpstreamError`."""
        async with self.transport.open(request, Timeouts(total=seconds)) as response:
            body = await response.read(max_bytes)
            if response.status != 200:
                raise ProviderMalformed(f"An answer of {response.status}.")
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderMalformed("An answer that is no JSON.") from None
