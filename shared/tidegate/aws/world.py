"""Connections of a process on AWS, opened once: the transport, credentials, the table, and workspaces' credentials.

`aws.gateway`, `aws.control` and `aws.sweeper` each compose a part of the product over it: a Lambda function loads only
the part that it needs.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import TableClient, create_dynamo_client
from tidegate.aws.store import ObjectStore, Store
from tidegate.lazy import load
from tidegate.ports import BudgetAlerts, Vault
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.base import Transport
from tidegate.transport.choose import create_transport


class AwsWorld:
    """The connections and stores of one process. Creating it sends nothing; leaving its context closes `http`.

        async with AwsWorld(settings) as world:
            await create_sweeper(world).run()

    Where the table takes other credentials than the process's own, these are `table_credentials`. `client` replaces
    DynamoDB; `vault` and `objects` replace the vault and the bucket that the settings name, `http` the transport.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        table_credentials: Credentials | None = None,
        client: TableClient | None = None,
        vault: Vault | None = None,
        objects: ObjectStore | None = None,
        http: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.http = http or create_transport(settings.transport)
        credentials, aws = find_credentials(settings.environment), settings.aws
        self.signing_keys = SigningKeys(credentials, self.http)
        if client is None:
            table_keys = table_credentials or credentials
            client = create_dynamo_client(self.http, table_keys, aws.region, aws.dynamodb_endpoint)
        self.store = Store(client, settings.table, clock)
        self.vault = vault or self._configured_vault()
        self.objects = objects

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.http.close()

    def budget_alerts(self) -> BudgetAlerts:
        """Return the bus that the settings name, or else the log."""
        if self.settings.event_bus is None:
            return load("tidegate.policy.metering.alerts", "LogBudgetAlerts")()
        create = load("tidegate.aws.events", "create_event_bus")
        return create(self.http, self.signing_keys, self.settings.aws, self.settings.event_bus)

    def _configured_vault(self) -> Vault | None:
        settings = self.settings
        if settings.workspace_secrets is None:
            return None
        create = load("tidegate.aws.vault", "create_vault")
        key = settings.workspace_secrets_key
        return create(self.http, self.signing_keys, settings.aws, settings.workspace_secrets, key)
