"""AWS credentials that have to be searched for: at a container's endpoint, or by boto3 on a developer's machine.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread
from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import decode
from tidegate.transport.aws_credentials import Credentials
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKey

CONTAINER_HOST = "http://169.254.170.2"
REFRESH_MARGIN_SECONDS = 300.0
"""A key is replaced this long before it expires."""

_TIMEOUTS = Timeouts(total=2.0)
_MAX_BODY_BYTES = 64 * 1024


def credential_chain(env: Mapping[str, str]) -> Credentials:
    """The endpoint of a container (ECS, EKS, Lambda's SnapStart) if `env` names one, else boto3's own search."""
    relative, full = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if relative:
        full = CONTAINER_HOST + relative
    if not full:
        return Boto3Credentials()
    token, file = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"), env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    return ContainerCredentials(full, token or None, Path(file) if file else None)


class ContainerCredentials(Redacted, Struct):
    """Temporary keys from an endpoint beside the process, cached until shortly before they expire."""

    url: str
    token: str | None = None
    token_file: Path | None = None
    clock: Callable[[], float] = time.time
    _cached_key: AwsKey | None = None
    _expires_at: float = 0.0

    async def key(self, transport: Transport) -> AwsKey | None:
        """See `Credentials.key`. While the endpoint does not answer, a key that has not expired is still returned."""
        now = self.clock()
        if now >= self._expires_at - REFRESH_MARGIN_SECONDS:
            try:
                self._cached_key, self._expires_at = await self._fetch(transport)
            except StoreUnavailable:
                if now >= self._expires_at:
                    raise
        return self._cached_key

    async def _fetch(self, transport: Transport) -> tuple[AwsKey, float]:
        try:
            token = self.token_file.read_text().strip() if self.token_file else self.token
            request = HttpRequest("GET", self.url, {"authorization": token} if token else {}, b"")
            async with transport.open(request, _TIMEOUTS) as response:
                status, body = response.status, await response.read(_MAX_BODY_BYTES)
            answer = decode(body) if status == 200 else None
        except (UpstreamError, OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unavailable() from error
        match answer:
            case {"AccessKeyId": str(id), "SecretAccessKey": str(secret), "Expiration": str(expires), **optional}:
                session_token = optional.get("Token")
                key = AwsKey(id, secret, session_token if isinstance(session_token, str) else None)
                return key, _parse_time(expires)
            case _:
                raise _unavailable()


class Boto3Credentials:
    """`Credentials` that boto3 finds (profiles, single sign-on, roles, instance metadata), searched in a thread."""

    def __init__(self) -> None:
        self._credentials: Any = None

    async def key(self, transport: Transport) -> AwsKey | None:
        try:
            return await to_thread.run_sync(self._read_key)
        except ModuleNotFoundError as error:
            message = (
                "The environment holds no AWS credentials, and boto3 is not installed to search elsewhere: "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or install boto3."
            )
            raise StoreUnavailable(message) from error

    def _read_key(self) -> AwsKey | None:
        session: Any = import_module("botocore.session")
        exceptions: Any = import_module("botocore.exceptions")
        try:
            if self._credentials is None:
                self._credentials = session.Session().get_credentials()
            credentials: Any = self._credentials
            frozen = None if credentials is None else credentials.get_frozen_credentials()
        except (exceptions.BotoCoreError, exceptions.ClientError, OSError) as error:
            raise _unavailable() from error
        return None if frozen is None else AwsKey(frozen.access_key, frozen.secret_key, frozen.token)


def _parse_time(expires: str) -> float:
    try:
        return datetime.fromisoformat(expires).timestamp()
    except ValueError:
        raise _unavailable() from None


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("AWS credentials could not be read; try again in a moment.", retry_after_seconds=1)
