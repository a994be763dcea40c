"""One AWS service in one region: signs requests with Signature Version 4 and sends them.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope, presign, sign


class AwsService(Struct, frozen=True):
    """The service `name`, at `endpoint` or else at its regional address. Opens nothing; the caller owns `transport`.

        events = AwsService(transport, signing_keys, "eu-central-1", "events")
        status, answer = await events.post("AWSEvents.PutEvents", body, Timeouts(total=2.0))

    All methods raise what `keys` raises; those that send also raise `UpstreamError`.
    """

    transport: Transport
    keys: AwsKeys
    region: str
    name: str
    endpoint: str | None = None
    clock: Callable[[], float] = time.time

    async def post(
        self, action: str, body: bytes, timeouts: Timeouts, *, json_version: str = "1.1", max_bytes: int = 1024 * 1024
    ) -> tuple[int, bytes]:
        """Call an action by its full name ("DynamoDB_20120810.Query"); the status and body of the answer."""
        url = (self.endpoint or f"https://{self.name}.{self.region}.amazonaws.com").rstrip("/") + "/"
        headers = {"content-type": f"application/x-amz-json-{json_version}", "x-amz-target": action}
        return await self.send(HttpRequest("POST", url, headers, body), timeouts, max_bytes)

    async def send(self, request: HttpRequest, timeouts: Timeouts, max_bytes: int) -> tuple[int, bytes]:
        """Sign the request and send it; the status and body of the answer."""
        async with self.transport.open(await self.sign_request(request), timeouts) as response:
            return response.status, await response.read(max_bytes)

    async def sign_request(self, request: HttpRequest) -> HttpRequest:
        """The request with a signature that is valid for five minutes."""
        key, scope = await self.keys(), SigningScope(self.name, self.region)
        signed = sign(request.method, request.url, request.headers, request.body, key, scope, at=self.clock())
        return replace(request, headers=signed)

    async def presign_url(self, method: str, url: str, headers: Mapping[str, str], seconds: int) -> str:
        """The URL of an S3 object with a signature: whoever has it may send this request. See `presign`."""
        key, scope = await self.keys(), SigningScope(self.name, self.region)
        return presign(method, url, headers, key, scope, at=self.clock(), seconds=seconds)
