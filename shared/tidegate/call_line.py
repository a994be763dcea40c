"""Log lines of calls, without the cost of `logging`'s own: each call has one.

`Logger.log` looks for its place in the code and for its thread, process and task, which takes longer than to settle the
call in memory. A handler that knows how to write the line of a call gets its fields, and no log record, unless others
want the line as well.
"""

import logging
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import TextIO

from msgspec import Struct
from msgspec.structs import asdict


class CallFields(Struct, frozen=True, omit_defaults=True, gc=False):
    """The fields of a call's line, in its order. What is None stands in no line.

    The last ones are rare: Python makes a list of more than 30 arguments, which takes longer than all the rest.
    """

    call_id: str
    workspace_id: str | None = None
    key_id: str | None = None
    app_id: str | None = None
    model: str | None = None
    provider: str | None = None
    deployment: str | None = None
    status: str | None = None
    error_code: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    attempts: int | None = None
    failed_attempts: Sequence[str] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    words: int | None = None
    cost_usd: str | None = None
    estimated: bool | None = None
    first_event_seconds: float | None = None
    seconds: float | None = None
    endpoint: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    trace_id: str | None = None
    cache: str | None = None
    guardrails: str | None = None
    ignored: str | None = None
    held_usd: Decimal | None = None
    tokens_per_second: float | None = None
    timeline: str | None = None
    parent_agent_id: str | None = None
    batch_id: str | None = None
    line: int | None = None


class CallLine(logging.LogRecord):
    """The log record of a call that has ended. `fields` are those of its line; handlers find them as attributes too."""

    fields: CallFields

    # `LogRecord`'s own would do what is left out here.
    def __init__(self, logger: str, level: int, event: str, fields: CallFields, created: float) -> None:
        self.__dict__ = {
            **_TEMPLATE,
            **asdict(fields),
            "name": logger,
            "msg": event,
            "levelno": level,
            "levelname": LEVEL_NAMES[level],
            "created": created,
            "msecs": int(created % 1 * 1000),
            "fields": fields,
        }


class CallHandler(logging.StreamHandler[TextIO]):
    """A handler that writes the line of a call from its fields. `aws.logs` implements it."""

    def write_call(self, level: int, event: str, fields: CallFields, created: float) -> None:
        """Write the line that was logged at `created` UTC seconds. Raises nothing, like `emit`."""
        raise NotImplementedError


LOCATION = "settle:0"
"""The function and the line that a call's line names."""

LEVEL_NAMES = {logging.DEBUG: "DEBUG", logging.INFO: "INFO", logging.ERROR: "ERROR"}
"""The levels at which calls are logged."""

_TEMPLATE = vars(logging.LogRecord("", logging.INFO, "settle.py", 0, "", (), None, "settle"))


def log_call(log: logging.Logger, level: int, event: str, fields: CallFields) -> None:
    """Log the line of a call at `level`, as `log.log(level, event, extra=fields)` does."""
    if not log.isEnabledFor(level):
        return
    handler, created = _only_handler(log, level), time.time()
    if handler is None:
        log.handle(CallLine(log.name, level, event, fields, created))
    else:
        handler.write_call(level, event, fields, created)


def _only_handler(log: logging.Logger, level: int) -> CallHandler | None:
    """Return the handler that writes all lines of the level; None if others get them as well, or filters choose."""
    if log.filters:
        return None
    found: CallHandler | None = None
    logger: logging.Logger | None = log
    while logger is not None:
        if logger.handlers:  # most loggers have none
            for handler in logger.handlers:
                if isinstance(handler, CallHandler) and not found and level >= handler.level and not handler.filters:
                    found = handler
                elif type(handler) is not logging.NullHandler:
                    return None
        logger = logger.parent if logger.propagate else None
    return found
