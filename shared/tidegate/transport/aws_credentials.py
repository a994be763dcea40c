"""AWS credentials, for whoever signs a request."""

from typing import Protocol

from msgspec import Struct

from tidegate.errors import StoreUnavailable
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKey


class Credentials(Protocol):
    """Where keys come from."""

    async def key(self, transport: Transport) -> AwsKey | None:
        """The key of this moment, None where there is none. Raises `StoreUnavailable`."""
        ...


class StaticCredentials(Struct, frozen=True):
    """A key that stays."""

    aws_key: AwsKey | None

    async def key(self, transport: Transport) -> AwsKey | None:
        """See `Credentials.key`."""
        return self.aws_key


class SigningKeys(Struct, frozen=True):
    """`AwsKeys` for our signer."""

    credentials: Credentials
    transport: Transport

    async def __call__(self) -> AwsKey:
        key = await self.credentials.key(self.transport)
        if key is None:
            raise NoCredentials("There are no AWS credentials.", retry_after_seconds=1)
        return key


class NoCredentials(StoreUnavailable):
    """Nothing that the process has leads to a key."""
