"""The control plane on Lambda: the admin API on AWS's stores, behind a proxy integration that does not stream."""

import asyncio

from mangum import Mangum

from tidegate.api.admin.app import build_admin
from tidegate.aws import logs
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.resources import DynamoResources
from tidegate.aws.store import Store
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.aws.vault import configured_vault
from tidegate.control.control import Control
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import SigningKeys
from tidegate.transport.choose import create_transport

settings = Settings.from_env()
logs.configure(settings.log_level)
http, credentials = create_transport(settings.transport), find_credentials(settings.environment)
store = Store(
    create_dynamo_client(http, credentials, settings.aws.region, settings.aws.dynamodb_endpoint), settings.table
)
vault = configured_vault(settings, http, SigningKeys(credentials, http))
app = build_admin(Control(DynamoResources(store), DynamoUsageReader(store), DynamoLedger(store), store.clock, vault))
asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum uses the thread's loop, and warns if there is none
handler = Mangum(app, lifespan="off")
