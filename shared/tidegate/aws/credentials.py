"""AWS credentials, from wherever the process has them.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.lazy import load
from tidegate.transport.aws_credentials import Credentials, StaticCredentials
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKey


class LazyCredentialChain(Redacted, Struct):
    """The credentials of a container (ECS, SnapStart), or else of AWS's files or the instance's metadata.

    The module that searches for them is loaded at first use: a function with keys in its environment never pays for it.
    """

    env: Mapping[str, str]
    _credentials: Credentials | None = None

    async def key(self, transport: Transport) -> AwsKey | None:
        """See `Credentials.key`."""
        credentials = self._credentials
        if credentials is None:
            search: Callable[[Mapping[str, str]], Credentials] = load(
                "tidegate.aws.credential_chain", "credential_chain"
            )
            credentials = self._credentials = search(self.env)
        return await credentials.key(transport)


def find_credentials(env: Mapping[str, str]) -> Credentials:
    """The access key in `env`, as on Lambda, or else the credentials that AWS's usual search finds."""
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return StaticCredentials(AwsKey(key_id, secret, env.get("AWS_SESSION_TOKEN") or None))
    return LazyCredentialChain(env)
