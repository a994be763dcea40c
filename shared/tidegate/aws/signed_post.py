"""One signed request to a service of AWS that speaks JSON.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope, sign


async def post(
    transport: Transport,
    aws_keys: AwsKeys,
    scope: SigningScope,
    target: str,
    body: bytes,
    *,
    at: float,
    timeouts: Timeouts,
    endpoint: str | None = None,
    version: str = "1.1",
    max_bytes: int = 1024 * 1024,
) -> tuple[int, bytes]:
    """The status and the body of the answer, from `endpoint` or else the service's own in that region.

    `target` is the action by its full name ("DynamoDB_20120810.Query"), `version` that of AWS's JSON, `at` the moment
    in UTC seconds. Raises `UpstreamError`, and what `aws_keys` raises.
    """
    url = (endpoint or f"https://{scope.service}.{scope.region}.amazonaws.com").rstrip("/") + "/"
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
    signed = sign("POST", url, headers, body, await aws_keys(), scope, at=at)
    async with transport.open(HttpRequest("POST", url, signed, body), timeouts) as response:
        return response.status, await response.read(max_bytes)
