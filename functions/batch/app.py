"""The batch function on Lambda: `tidegate.aws.batch_triggers` has the events that it handles."""

from tidegate.api.app import ENDPOINTS
from tidegate.aws.batch_triggers import BatchHandler, open_batch_function
from tidegate.aws.function_log import FunctionLog
from tidegate.settings import Settings

settings = Settings.from_env()
log = FunctionLog(settings, "batch")
handler = log.wrap(BatchHandler(open_batch_function(settings, ENDPOINTS)))
