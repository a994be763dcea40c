"""Credentials of workspaces in Secrets Manager: a JSON object for each workspace, named `<prefix>/<workspace id>`.

Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
"""

import uuid
from collections.abc import Mapping

from msgspec import Struct

from tidegate.aws.secrets import (
    SecretsManagerClient,
    SecretsManagerError,
    create_secrets_manager_client,
    secret_values,
)
from tidegate.json import Json, encode
from tidegate.settings import AwsSettings
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys


class SecretsManagerVault(Struct, frozen=True):
    """The port `Vault`. A workspace's secret is created with its first credential, and deleted with its last.

    `kms_key` encrypts the secrets that are created; None is AWS's own key.
    """

    client: SecretsManagerClient
    prefix: str
    kms_key: str | None = None

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """See `Vault.read`."""
        try:
            answer = await self.client.call("GetSecretValue", {"SecretId": self._secret_id(workspace_id)})
        except SecretsManagerError as error:
            if error.is_missing:
                return {}
            raise
        return secret_values(answer)

    async def write(self, workspace_id: str, credentials: Mapping[str, str]) -> None:
        """See `Vault.write`."""
        name = self._secret_id(workspace_id)
        if not credentials:
            await self._delete(name)
            return
        secret: dict[str, Json] = {
            "SecretString": encode(dict(credentials)).decode(),
            "ClientRequestToken": str(uuid.uuid4()),
        }
        try:
            await self.client.call("PutSecretValue", {"SecretId": name, **secret})
        except SecretsManagerError as error:
            if not error.is_missing:
                raise
            encryption: dict[str, Json] = {} if self.kms_key is None else {"KmsKeyId": self.kms_key}
            await self.client.call("CreateSecret", {"Name": name, **encryption, **secret})

    async def _delete(self, name: str) -> None:
        try:
            await self.client.call("DeleteSecret", {"SecretId": name, "ForceDeleteWithoutRecovery": True})
        except SecretsManagerError as error:
            if not error.is_missing:
                raise

    def _secret_id(self, workspace_id: str) -> str:
        return f"{self.prefix}/{workspace_id}"


def create_vault(
    transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, prefix: str, kms_key: str | None = None
) -> SecretsManagerVault:
    """Create the vault whose secrets begin with `prefix`. Opens nothing; the caller owns `transport`."""
    client = create_secrets_manager_client(transport, aws_keys, aws.region, aws.secrets_endpoint)
    return SecretsManagerVault(client, prefix, kms_key)
