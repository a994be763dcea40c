"""The log and the metrics of the functions that are not the hot path, over Powertools' Logger and Metrics.

Modules of the package log events, as everywhere. Here, some of them are metrics as well: `EVENT_METRICS`. Values of 0
are left out, so that a function that has nothing to do costs nothing: CloudWatch charges for hours with values.
Importing both takes 8 ms of a cold start (2026-11).
Sources: https://docs.aws.amazon.com/powertools/python/latest/core/logger/ and …/core/metrics/ (read 2026-11)
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO, TypeAlias, TypeVar, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.logging.types import LogRecord
from aws_lambda_powertools.metrics import EphemeralMetrics

from tidegate.aws.logs import has_call_metrics, silence_libraries, stack_of
from tidegate.lazy import load
from tidegate.settings import Settings

log = logging.getLogger(__name__)

_ExceptionInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
Answer = TypeVar("Answer")

EVENT_METRICS: Mapping[str, Mapping[str, str]] = {
    "sweeper.ran": {"lost": "holds_lost", "alerts": "alerts_sent", "failed": "workspaces_failed"},
    "roller.ran": {"hours": "hours_rolled", "pending_days": "days_pending", "failed": "workspaces_failed"},
    "part.ended": {
        "": "batch_parts",
        "lines": "batch_lines",
        "failed": "batch_lines_failed",
        "lost": "batch_lines_lost",
    },
    "batches.swept": {"batches": "open_batches", "lines": "open_lines", "oldest_seconds": "oldest_batch_age"},
    "message.failed": {"": "messages_failed"},
    "admin.changed": {"": "changes"},
}
"""By event: its fields, and the metrics that they are; without a field, each event counts 1."""

UNFINISHED: Mapping[str, str] = {"part.ended": "left"}
"""The field of an event that is 0 at the end: several workers may have a part, and the last one has its sums."""

DIMENSIONS: Mapping[str, str] = {"admin.changed": "result"}
"""The field of an event that is a dimension of its metrics, beside `service`. It has few values."""

SECONDS = frozenset(("oldest_batch_age",))
"""The metrics in seconds. All others are counts."""


class FunctionLog:
    """The log of a function. Powertools' logger is named like the package, so that all its events come here, once."""

    def __init__(self, settings: Settings, service: str, stream: TextIO = sys.stdout) -> None:
        namespace = settings.metrics_namespace
        silence_libraries()
        self.logger = Logger("tidegate", settings.log_level, logger_formatter=_Lines(namespace), stream=stream)
        self.logger.append_keys(service=service)
        self.metrics = None if namespace is None else MetricsOfEvents(namespace, service)
        if self.metrics is not None:
            logging.getLogger("tidegate").addHandler(self.metrics)

    def wrap(self, handle: Callable[[Any, object], Answer]) -> Callable[[Any, object], Answer]:
        """Return Lambda's handler: lines have its request id, and metrics are written even if it fails.

        Powertools' own decorators would log whole events, headers included, if an environment variable said so.
        """

        def handler(event: Any, context: object) -> Answer:
            self.logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
            try:
                return handle(event, context)
            finally:
                if self.metrics is not None:
                    self.metrics.write()

        return handler


def log_change(handle: Callable[[Any, Any], dict[str, Any]]) -> Callable[[Any, Any], dict[str, Any]]:
    """Return a handler of API Gateway's requests that logs each change with its result: done, refused or failed."""

    def handler(event: Any, context: Any) -> dict[str, Any]:
        answer = handle(event, context)
        method, status = str(event["httpMethod"]), int(answer["statusCode"])
        if method not in ("GET", "HEAD", "OPTIONS"):
            result = "done" if status < 400 else "refused" if status < 500 else "failed"
            log.info("admin.changed", extra={"method": method, "status": status, "result": result})
        return answer

    return handler


class MetricsOfEvents(logging.Handler):
    """Collects the metrics of events, and writes them as one line: in the embedded metric format.

    Powertools' metrics are not made for several threads; a handler has a lock.
    """

    def __init__(self, namespace: str, service: str) -> None:
        super().__init__()
        self._metrics = EphemeralMetrics(service=service, namespace=namespace)

    def emit(self, record: logging.LogRecord) -> None:
        """Add the metrics of an event, if it has any."""
        fields = vars(record)
        if fields.get(UNFINISHED.get(record.msg, "")):
            return
        for field, name in EVENT_METRICS.get(record.msg, {}).items():
            value = fields.get(field, 0) if field else 1
            if value:
                self._metrics.add_metric(name, "Seconds" if name in SECONDS else "Count", value)
        if record.msg in DIMENSIONS:
            dimension = DIMENSIONS[record.msg]
            self._metrics.add_dimension(dimension, fields[dimension])

    def write(self) -> None:
        """Write what was collected; nothing, if that is nothing. Powertools would warn, or raise an error."""
        self.acquire()
        try:
            if self._metrics.metric_set:
                self._metrics.flush_metrics()
        finally:
            self.release()


class _Lines(LambdaPowertoolsFormatter):
    """Powertools' lines, with the metrics of calls: those of single requests, which the batch function answers."""

    def __init__(self, metrics_namespace: str | None) -> None:
        # Its other parameters have no types.
        super().__init__(utc=True, use_rfc3339=True, serialize_stacktrace=False)  # pyright: ignore[reportUnknownMemberType]
        self._metrics_namespace = metrics_namespace

    def formatException(self, ei: _ExceptionInfo) -> str:
        """Return where the exception was raised, without its message, which can repeat what a caller sent."""
        return stack_of(ei[1])

    def serialize(self, log: LogRecord) -> str:
        """Return the line as JSON."""
        line = cast(dict[str, object], log)
        line.pop("taskName", None)  # Python 3.12 gives it to every record
        if self._metrics_namespace and has_call_metrics(line):
            load("tidegate.aws.emf", "add_metrics")(line, time.time(), self._metrics_namespace)
        return super().serialize(log)
