"""AWS credentials, from where the process has them.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from msgspec import Struct

from tidegate.domain.redacted import Confidential
from tidegate.errors import StoreUnavailable
from tidegate.upstream.sigv4 import AwsKey
from tidegate.upstream.transport import Transport


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


class FoundCredentials(Confidential, Struct):
    """Those of a container's endpoint (ECS, SnapStart), or else of AWS's files and the instance's metadata. What looks
    for them is loaded with the first use: a function whose keys are in its environment never pays for it.
    """

    env: Mapping[str, str]
    _chain: Credentials | None = None

    async def key(self, transport: Transport) -> AwsKey | None:
        """See `Credentials.key`."""
        chain = self._chain
        if chain is None:
            chain = self._chain = cast(Credentials, import_module("tidegate.aws.credential_chain").chain(self.env))
        return await chain.key(transport)


def find_credentials(env: Mapping[str, str]) -> Credentials:
    """The credentials that `env` names: the keys in it, as on Lambda, or what else leads to some."""
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return StaticCredentials(AwsKey(key_id, secret, env.get("AWS_SESSION_TOKEN") or None))
    return FoundCredentials(env)


class AwsIdentity(Struct, frozen=True):
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
