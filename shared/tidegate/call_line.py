"""Log lines of calls, without the cost of `logging`'s own: each call has one.

`Logger.log` looks for its place in the code and for its thread, process and task, which takes longer than to settle the
call in memory.
"""

import logging
import time
from collections.abc import Mapping


class CallLine(logging.LogRecord):
    """The log record of a call that has ended. `fields` are those of its line; handlers find them as attributes too."""

    fields: Mapping[str, object]

    # `LogRecord`'s own would do what is left out here.
    def __init__(self, logger: str, level: int, event: str, fields: Mapping[str, object]) -> None:
        now = time.time()
        self.__dict__ = {
            **_TEMPLATE,
            **fields,
            "name": logger,
            "msg": event,
            "levelno": level,
            "levelname": _LEVELS.get(level, "ERROR"),
            "created": now,
            "msecs": int(now % 1 * 1000),
            "fields": fields,
        }


_LEVELS = {logging.DEBUG: "DEBUG", logging.INFO: "INFO"}
_TEMPLATE = vars(logging.LogRecord("", logging.INFO, "settle.py", 0, "", (), None, "settle"))


def log_call(log: logging.Logger, level: int, event: str, fields: Mapping[str, object]) -> None:
    """Log the line of a call at `level`, as `log.log(level, event, extra=fields)` does."""
    if log.isEnabledFor(level):
        log.handle(CallLine(log.name, level, event, fields))
