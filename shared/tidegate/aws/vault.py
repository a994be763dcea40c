"""Credentials of workspaces in Secrets Manager: a JSON object for each workspace, named `<prefix>/<workspace id>`.

Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
"""

import uuid
from collections.abc import Callable, Mapping

from msgspec import Struct

from tidegate.aws.secrets import (
    SecretsManagerClient,
    SecretsManagerError,
    create_secrets_manager_client,
    secret_values,
)
from tidegate.errors import Stale, StoreUnavailable
from tidegate.json import Json, decode, encode
from tidegate.settings import AwsSettings
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys

MAX_TRIES = 5
"""Attempts to update a secret that others update at the same time."""


class SecretsManagerVault(Struct, frozen=True):
    """The port `Vault`. A workspace's secret is created with its first credential, and stays when it has none left.

    `kms_key` encrypts the secrets that are created; None is AWS's own key.
    """

    client: SecretsManagerClient
    prefix: str
    kms_key: str | None = None

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """See `Vault.read`."""
        return (await self._read_version(self._secret_id(workspace_id)))[1]

    async def update(self, workspace_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """See `Vault.update`."""
        name = self._secret_id(workspace_id)
        for _ in range(MAX_TRIES):
            version, credentials = await self._read_version(name)
            changed = dict(change(credentials))
            if changed == credentials:
                return
            try:
                await self._write_version(name, version, encode(changed).decode())
                return
            except SecretsManagerError as error:
                if not error.is_existing:
                    raise
        raise Stale("The workspace's credentials are being changed by others: try again in a moment.")

    async def _read_version(self, name: str) -> tuple[str | None, dict[str, str]]:
        """Return the id of the secret's version and its values; None if there is no secret."""
        try:
            answer = await self.client.call("GetSecretValue", {"SecretId": name})
        except SecretsManagerError as error:
            if error.is_missing:
                return None, {}
            raise
        match decode(answer):
            case {"VersionId": str(version)}:
                return version, secret_values(answer)
            case _:
                raise StoreUnavailable("Secrets Manager returned a secret without a version.")

    async def _write_version(self, name: str, version: str | None, text: str) -> None:
        """Write the secret's next version. Raises `SecretsManagerError` if `version` has a next one already.

        The id of a version follows from the one before it, and Secrets Manager refuses other values for an existing id.
        """
        if version is None:
            encryption: dict[str, Json] = {} if self.kms_key is None else {"KmsKeyId": self.kms_key}
            token = str(uuid.uuid4())
            secret: dict[str, Json] = {"Name": name, "SecretString": text, "ClientRequestToken": token, **encryption}
            await self.client.call("CreateSecret", secret)
            return
        token = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{version}"))
        await self.client.call("PutSecretValue", {"SecretId": name, "SecretString": text, "ClientRequestToken": token})

    def _secret_id(self, workspace_id: str) -> str:
        return f"{self.prefix}/{workspace_id}"


def create_vault(
    transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, prefix: str, kms_key: str | None = None
) -> SecretsManagerVault:
    """Create the vault whose secrets begin with `prefix`. Opens nothing; the caller owns `transport`."""
    client = create_secrets_manager_client(transport, aws_keys, aws.region, aws.secrets_endpoint)
    return SecretsManagerVault(client, prefix, kms_key)
