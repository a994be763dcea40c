"""One JSON line for each event, formatted by Powertools.

Source: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
"""

import logging
import sys

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_CHATTY = ("aiodynamo", "pyreqwest", "httpx", "httpcore")
"""Libraries that log requests, headers and bodies when asked for details: never, at any level of ours."""


def configure(level: str) -> None:
    """Log everything of ours from `level` on to standard output, which Lambda keeps. Calling it again is harmless."""
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, LambdaPowertoolsFormatter) for handler in root.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(LambdaPowertoolsFormatter(utc=True, use_rfc3339=True))
        root.addHandler(handler)
    logging.getLogger("tidegate").setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
