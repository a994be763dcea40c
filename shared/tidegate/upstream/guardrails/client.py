"""The client of guardrail services: an HTTP transport, with what requests to them need."""

import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tidegate.errors import ProviderMalformed
from tidegate.json import Json, decode
from tidegate.ports import Secrets
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.transport.sigv4 import AwsKeys


class GuardrailClient(Struct, frozen=True):
    """Sends requests to guardrail services. `fetcher` resolves a workspace's webhook, and refuses private addresses.

    Bedrock's region and endpoint are those in the settings of the provider `bedrock`, or else `region`.
    """

    transport: Transport
    secrets: Secrets
    fetcher: MediaFetcher
    region: str
    aws_keys: AwsKeys | None = None
    clock: Callable[[], float] = time.time

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
