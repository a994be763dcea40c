"""AWS credentials, from where the process has them.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.lazy import load
from tidegate.transport.aws_credentials import Credentials, StaticCredentials
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKey


class LazyCredentialChain(Redacted, Struct):
    """Those of a container's endpoint (ECS, SnapStart), or else of AWS's files and the instance's metadata. What looks
    for them is loaded with the first use: a function whose keys are in its environment never pays for it.
    """

    env: Mapping[str, str]
    _credentials: Credentials | None = None

    async def key(self, transport: Transport) -> AwsKey | None:
        """See `Credentials.key`."""
        chain = self._credentials
        if chain is None:
            chain = self._credentials = cast(
                Credentials, load("tidegate.aws.credential_chain", "credential_chain")(self.env)
            )
        return await chain.key(transport)


def find_credentials(env: Mapping[str, str]) -> Credentials:
    """The credentials that `env` names: the keys in it, as on Lambda, or what else leads to some."""
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return StaticCredentials(AwsKey(key_id, secret, env.get("AWS_SESSION_TOKEN") or None))
    return LazyCredentialChain(env)
