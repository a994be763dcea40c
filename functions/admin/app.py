"""The control plane on Lambda: the admin API and the dashboard, behind a proxy integration that does not stream."""

import asyncio

from mangum import Mangum

from tidegate.api.admin.app import build_admin
from tidegate.aws.control import create_aws_control
from tidegate.aws.function_log import FunctionLog, log_change
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.world import AwsWorld
from tidegate.identity.choose import create_access_tokens
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.settings import Settings

settings = Settings.from_env()
log = FunctionLog(settings, "admin")
world = AwsWorld(settings)
access_tokens = create_access_tokens(settings.oidc, world.http)
authenticator = Authenticator(DynamoKeyLookup(world.store), access_tokens=access_tokens)
app = build_admin(create_aws_control(world), authenticator, settings.oidc, settings.api_url)
asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum uses the thread's loop, and warns if there is none
handler = log.wrap(log_change(Mangum(app, lifespan="off")))
