"""What the local server logs of a crash: where it happened, and nothing of what a caller sent."""

import io
import json
import logging.config
from typing import Any

from uvicorn import Config

from tidegate.local.serve import UVICORN_LOG


async def test_a_crash_is_one_line_without_the_message_of_its_exception() -> None:
    out, stream_handler = io.StringIO(), logging.StreamHandler
    handler = {"()": lambda: stream_handler(out), "formatter": "lines"}
    config: Any = {**UVICORN_LOG, "handlers": {"stderr": handler}}
    logger = logging.getLogger("uvicorn")
    before = logger.handlers, logger.propagate
    try:
        Config(None, log_config=config, log_level="warning")
        prompt = "-".join(["marker", "of", "the", "prompt"])  # no line of code has it
        try:
            raise ValueError(prompt)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
        logging.getLogger("uvicorn.error").info("Started server process")
    finally:
        logger.handlers, logger.propagate = before
    [line] = map(json.loads, out.getvalue().splitlines())
    assert (line["level"], line["exception_name"]) == ("ERROR", "ValueError")
    assert prompt not in out.getvalue() and "raise ValueError(prompt)" in line["exception"]
