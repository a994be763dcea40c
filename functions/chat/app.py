"""The data plane on Lambda: the API on AWS's stores, served by `tidegate.runtime` (see bootstrap.sh)."""

from tidegate.api.app import ENDPOINTS, build_app
from tidegate.aws import logs
from tidegate.aws.gateway import AwsDataPlane
from tidegate.settings import Settings

settings = Settings.from_env()
logs.configure(settings.log_level, settings.metrics_namespace)
plane = AwsDataPlane(settings, ENDPOINTS)
app = build_app(plane.open_gateway, settings.server_options(), open_batches=plane.open_batches)
