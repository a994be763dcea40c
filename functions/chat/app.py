"""The data plane on Lambda: the API on AWS's stores, served by `tidegate.runtime` (see bootstrap.sh)."""

from tidegate.api.app import build_app
from tidegate.aws import logs
from tidegate.aws.gateway import open_aws_gateway
from tidegate.settings import Settings

settings = Settings.from_env()
logs.configure(settings.log_level)
app = build_app(lambda: open_aws_gateway(settings), settings.server_options())
