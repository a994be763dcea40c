"""AWS credentials for signing requests: the protocol of their sources, and the key that signs now."""

from typing import Protocol

from msgspec import Struct

from tidegate.errors import StoreUnavailable
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKey


class Credentials(Protocol):
    """A source of AWS access keys."""

    async def key(self, transport: Transport) -> AwsKey | None:
        """The current key, None if the source has none. Raises `StoreUnavailable` if it does not answer."""
        ...


class StaticCredentials(Struct, frozen=True):
    """`Credentials` with one fixed key, or with none."""

    aws_key: AwsKey | None

    async def key(self, transport: Transport) -> AwsKey | None:
        return self.aws_key


class SigningKeys(Struct, frozen=True):
    """`AwsKeys` for `sigv4.sign`: the current key of `credentials`. Raises `NoCredentials` if there is none."""

    credentials: Credentials
    transport: Transport

    async def __call__(self) -> AwsKey:
        key = await self.credentials.key(self.transport)
        if key is None:
            raise NoCredentials("No AWS credentials were found.", retry_after_seconds=1)
        return key


class NoCredentials(StoreUnavailable):
    """No source of AWS credentials has a key for this process."""
