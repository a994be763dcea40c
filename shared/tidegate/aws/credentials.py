"""AWS credentials, from where the process has them.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiodynamo.credentials import ContainerMetadataCredentials, Credentials, Key, StaticCredentials
from yarl import URL

from tidegate.aws.dynamo import FAILURES, DynamoHttp
from tidegate.errors import StoreUnavailable
from tidegate.upstream.sigv4 import AwsKey
from tidegate.upstream.transport import Transport


def find_credentials(env: Mapping[str, str]) -> Credentials:
    """The credentials that `env` names: keys in it (Lambda), a container's endpoint (ECS, SnapStart), or else AWS's
    files and the instance's metadata, which are looked for at the first use."""
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return StaticCredentials(Key(key_id, secret, env.get("AWS_SESSION_TOKEN") or None))
    relative, full = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if relative or full:
        return ContainerMetadataCredentials(
            relative_uri=relative or None,
            full_uri=URL(full) if full else None,
            auth_token=env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN") or None,
        )
    return Credentials.auto()


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """`AwsKeys` for our own signer, from the same credentials that aiodynamo signs with."""

    credentials: Credentials
    transport: Transport

    async def __call__(self) -> AwsKey:
        try:
            key = await self.credentials.get_key(DynamoHttp(self.transport))
        except FAILURES as error:
            raise StoreUnavailable("AWS credentials could not be read.", retry_after_seconds=1) from error
        if key is None:
            raise StoreUnavailable("There are no AWS credentials.", retry_after_seconds=1)
        return AwsKey(key.id, key.secret, key.token)
