"""Asks the service of a guardrail, a webhook or Amazon Bedrock. Each is loaded with its first query."""

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
    """Port `GuardrailBackend`. `fetcher` resolves a workspace's webhook, and refuses addresses that are not public.

    Bedrock's region and endpoint are those in the settings of the provider `bedrock`, or else `region`.
    """

    transport: Transport
    secrets: Secrets
    fetcher: MediaFetcher
    region: str
    aws_keys: AwsKeys | None = None
    clock: Callable[[], float] = time.time

    async def judge(self, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
        """See `GuardrailBackend.judge`. The error contains neither the texts nor the secret."""
        judge = load(_MODULES[guardrail.kind], "judge")
        try:
            async with asyncio.timeout(query.timeout_seconds):
                return await judge(self, guardrail, query)
        except (TimeoutError, UpstreamError, InvalidRequest, NotConfigured, StoreUnavailable):
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} did not return a verdict.") from None

    async def fetch_json(self, request: HttpRequest, seconds: float, max_bytes: int) -> Json:
        """Send the request and parse the JSON of its answer. Raises `UpstreamError` unless the status is 200."""
        async with self.transport.open(request, Timeouts(total=seconds)) as response:
            body = await response.read(max_bytes)
            if response.status != 200:
                raise ProviderMalformed(f"The guardrail service answered with status {response.status}.")
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderMalformed("The guardrail service did not answer with valid JSON.") from None
