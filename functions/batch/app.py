"""The batch function on Lambda: `tidegate.aws.batch_triggers` has the events that it handles."""

from tidegate.api.app import ENDPOINTS
from tidegate.aws import logs
from tidegate.aws.batch_triggers import BatchHandler, open_batch_function
from tidegate.settings import Settings

settings = Settings.from_env()
logs.configure(settings.log_level, settings.metrics_namespace)
handler = BatchHandler(open_batch_function(settings, ENDPOINTS))
