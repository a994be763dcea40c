"""What stands in a log line."""

import io
import json
import logging
from decimal import Decimal

from tidegate.aws.logs import JsonLines, configure


def written(level: int, event: str, extra: dict[str, object], *, crash: bool = False) -> dict[str, object]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    log = logging.Logger("tidegate.test")
    log.addHandler(handler)
    try:
        if crash:
            raise LookupError("no such thing")
    except LookupError:
        log.log(level, event, extra=extra, exc_info=True)
    else:
        log.log(level, event, extra=extra)
    (line,) = out.getvalue().splitlines()
    return json.loads(line)


def test_an_event_and_its_facts_are_one_line() -> None:
    line = written(logging.INFO, "call.settled", {"words": 38, "cost_usd": Decimal("0.1"), "error_code": None})
    moment, place = line.pop("timestamp"), line.pop("location")
    assert line == {"level": "INFO", "message": "call.settled", "words": 38, "cost_usd": "0.1"}
    assert str(moment).endswith("+00:00")
    assert str(place).startswith("written:")


def test_a_crash_keeps_its_stack() -> None:
    line = written(logging.ERROR, "call.crashed", {"call_id": "x"}, crash=True)
    assert line["exception_name"] == "LookupError"
    assert str(line["exception"]).startswith("Traceback (most recent call last)")


def test_a_stack_has_no_message_that_can_repeat_a_prompt() -> None:
    out, marker = io.StringIO(), "-".join(["marker", "of", "the", "prompt"])  # no line of code has it
    log = logging.Logger("test")
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)

    def fail(text: str) -> None:
        try:
            int(text)
        except ValueError as error:
            raise ExceptionGroup(text, [KeyError(text), OSError(28, "No space left on device")]) from error

    try:
        fail(marker)
    except ExceptionGroup:
        log.exception("call.crashed")
    line = json.loads(out.getvalue())
    assert marker not in out.getvalue()
    stack = line["exception"]
    assert stack.index("ValueError") < stack.index("ExceptionGroup") < stack.index("KeyError")
    assert "No space left on device" in stack and "in fail" in stack


def test_what_is_no_json_becomes_text() -> None:
    assert written(logging.INFO, "x.seen", {"what": {1j}})["what"] == ["1j"]


def test_configuring_twice_logs_once() -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        configure("INFO")
        configure("INFO")
        assert len([handler for handler in root.handlers if isinstance(handler.formatter, JsonLines)]) == 1
    finally:
        root.handlers = before
        logging.getLogger("tidegate").setLevel(logging.NOTSET)
