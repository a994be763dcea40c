"""What stands in a log line."""

import asyncio
import io
import json
import logging
import select
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.aws.logs import JsonLines, LineHandler, configure
from tidegate.call_line import CallFields, CallLine, log_call


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


def logger_to(*handlers: logging.Handler, level: int = logging.INFO) -> logging.Logger:
    """A logger whose lines go to these handlers alone."""
    parent, log = logging.Logger("tidegate"), logging.Logger("tidegate.pipeline.settle", level)
    parent.addHandler(logging.NullHandler())
    log.parent = parent
    for handler in handlers:
        parent.addHandler(handler)
    return log


CALL = CallFields("01M8N7S4RN9X41F8WMXPD9HEHB")
TEXTS = ("app_id", "model", "provider", "status", "error_code", "timeline")
COUNTS = ("line", "attempts", "input_tokens", "output_tokens", "words")
TIMES = ("seconds", "first_event_seconds", "tokens_per_second")
FIELDS = st.fixed_dictionaries(
    {"call_id": st.text()},
    optional={
        **dict.fromkeys(TEXTS, st.none() | st.text()),
        **dict.fromkeys(COUNTS, st.none() | st.integers(0, 2**53)),
        **dict.fromkeys(TIMES, st.none() | st.floats(0, 1e6)),
        "estimated": st.booleans(),
        "cost_usd": st.none() | st.decimals(0, 1000, places=18).map(str),
        "held_usd": st.none() | st.decimals(0, 1000, places=18),
        "failed_attempts": st.lists(st.text()),
        "batch_id": st.none() | st.text(),
    },
).map(lambda fields: msgspec.convert(fields, CallFields))


@given(
    fields=FIELDS,
    level=st.sampled_from([logging.DEBUG, logging.INFO, logging.ERROR]),
    namespace=st.sampled_from([None, "tidegate/test"]),
)
def test_a_call_has_the_same_line_however_it_is_written(fields: CallFields, level: int, namespace: str | None) -> None:
    out = io.BytesIO()
    log = logger_to(LineHandler(io.TextIOWrapper(out, "utf-8"), namespace), level=logging.DEBUG)
    log_call(log, level, "call.settled", fields)
    record = CallLine(log.name, level, "call.settled", fields, 0.0)
    lines = [json.loads(line) for line in (out.getvalue(), JsonLines(namespace).format(record))]
    for line in lines:
        assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
        line.get("_aws", {}).pop("Timestamp", None)
    assert list(lines[0].items()) == list(lines[1].items())


@given(st.floats(0, 4e9))
@example(1_795_780_800.000_999_4)  # 999.42 microseconds, of which a product with 1e6 makes 999.5
@example(1_795_780_800.999_999_9)  # the next second, to the microsecond
@example(1_795_780_800.0)
def test_the_line_of_a_call_has_the_time_of_its_log_record(created: float) -> None:
    line = JsonLines().call_line(logging.INFO, "call.settled", CALL, created)
    record = CallLine("tidegate", logging.INFO, "call.settled", CALL, created)
    assert line == JsonLines().format(record).encode() + b"\n"


class Records(logging.Handler):
    """Keeps the records that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = list[logging.LogRecord]()

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


def test_other_handlers_and_filters_get_the_record_of_a_call() -> None:
    out, records = io.StringIO(), Records()
    log = logger_to(LineHandler(out), records)
    log_call(log, logging.INFO, "call.settled", CallFields("id", status="ok"))
    [record] = records.kept
    assert (record.levelname, record.getMessage(), vars(record)["status"]) == ("INFO", "call.settled", "ok")

    def refuse(record: logging.LogRecord) -> bool:
        return vars(record)["status"] != "ok"

    filtered = LineHandler(out)
    filtered.addFilter(refuse)
    for strict in (logger_to(filtered), logger_to(LineHandler(out))):
        if strict.parent and filtered not in strict.parent.handlers:
            strict.addFilter(refuse)
        for status in ("ok", "failed"):
            log_call(strict, logging.INFO, "call.settled", CallFields("id", status=status))
    assert [json.loads(line)["status"] for line in out.getvalue().splitlines()] == ["ok", "failed", "failed"]


def test_levels_hold_for_the_lines_of_calls() -> None:
    out = io.StringIO()
    handler = LineHandler(out)
    handler.setLevel(logging.ERROR)
    for log in (logger_to(handler), logger_to(LineHandler(out), level=logging.ERROR)):
        log_call(log, logging.INFO, "call.settled", CALL)
        assert out.getvalue() == ""
        log_call(log, logging.ERROR, "meter.failed", CALL)
        assert json.loads(out.getvalue())["level"] == "ERROR"
        out.seek(out.truncate(0))


class Slow(io.RawIOBase):
    """A file that takes seven bytes at a time, and nothing now and then."""

    def __init__(self) -> None:
        self.got, self._turn = b"", 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int | None:
        self._turn += 1
        if self._turn == 1:
            return None
        self.got += bytes(data[:7])
        return len(data[:7])


def test_a_line_is_whole_even_if_the_file_takes_it_in_parts() -> None:
    file = Slow()
    log = logger_to(LineHandler(io.TextIOWrapper(io.BufferedWriter(file), "utf-8")))
    log_call(log, logging.INFO, "call.settled", CallFields("id", model="größer"))
    log_call(log, logging.INFO, "call.settled", CallFields("id", model="kürzer"))
    assert [json.loads(line)["model"] for line in file.got.splitlines()] == ["größer", "kürzer"]


def test_lines_of_calls_and_of_other_events_are_in_order(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        log = logger_to(LineHandler(stream))
        for number in range(3):
            log.info("upstream.answered", extra={"line": number})
            log_call(log, logging.INFO, "call.settled", CallFields("id", line=number))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    events = ["upstream.answered", "call.settled"]
    assert [(line["line"], line["message"]) for line in lines] == [(n, event) for n in range(3) for event in events]


def test_the_line_of_a_call_comes_after_what_others_have_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        log = logger_to(LineHandler(stream))
        stream.write("written by a guardrail\n")
        log_call(log, logging.INFO, "call.settled", CALL)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert (first, json.loads(second)["message"]) == ("written by a guardrail", "call.settled")


def test_the_line_of_a_call_goes_to_the_stream_that_its_handler_has_got(tmp_path: Path) -> None:
    out = io.StringIO()
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        handler = LineHandler(stream)
        log = logger_to(handler)
        handler.setStream(out)
        log_call(log, logging.INFO, "call.settled", CALL)
    assert (tmp_path / "log").read_text() == ""
    assert json.loads(out.getvalue())["message"] == "call.settled"


def test_a_line_that_cannot_be_written_fails_no_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = (tmp_path / "log").open("w", encoding="utf-8")
    log = logger_to(LineHandler(stream))
    stream.close()
    log_call(log, logging.INFO, "call.settled", CALL)
    assert "call.settled" in capsys.readouterr().err
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log_call(log, logging.INFO, "call.settled", CALL)
    assert capsys.readouterr().err == ""


class Pieces(io.RawIOBase):
    """A file that keeps what each write brings."""

    def __init__(self) -> None:
        self.got = list[bytes]()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.got.append(bytes(data))
        return len(data)

    def events(self) -> list[list[tuple[str, int]]]:
        """The lines of each write: their events and numbers."""
        lines = [[json.loads(line) for line in piece.splitlines()] for piece in self.got]
        return [[(line["message"], line["line"]) for line in piece] for piece in lines]


def gathering(file: io.RawIOBase) -> tuple[LineHandler, logging.Logger]:
    handler = LineHandler(io.TextIOWrapper(io.BufferedWriter(file), "utf-8"), gathers=True)
    return handler, logger_to(handler)


def end_calls(log: logging.Logger, *numbers: int, app_id: str | None = None) -> None:
    for number in numbers:
        log_call(log, logging.INFO, "call.settled", CallFields("id", line=number, app_id=app_id))


async def test_calls_that_end_in_one_turn_share_a_write() -> None:
    file = Pieces()
    _, log = gathering(file)
    end_calls(log, 1, 2)
    assert file.events() == []
    await asyncio.sleep(0)
    end_calls(log, 3)
    await asyncio.sleep(0)
    assert file.events() == [[("call.settled", 1), ("call.settled", 2)], [("call.settled", 3)]]


def test_without_an_event_loop_each_call_has_its_write() -> None:
    file = Pieces()
    _, log = gathering(file)
    end_calls(log, 1, 2)
    assert file.events() == [[("call.settled", 1)], [("call.settled", 2)]]


async def test_the_lines_of_other_events_come_after_those_of_the_calls_before_them() -> None:
    file = Pieces()
    _, log = gathering(file)
    end_calls(log, 1)
    log.warning("call.failed", extra={"line": 2})
    end_calls(log, 3)
    await asyncio.sleep(0)
    assert file.events() == [[("call.settled", 1)], [("call.failed", 2)], [("call.settled", 3)]]


def test_the_last_turn_of_an_event_loop_writes_what_it_gathers() -> None:
    async def end_call(log: logging.Logger) -> None:
        end_calls(log, 1)

    file = Pieces()
    _, log = gathering(file)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(end_call(log))
    loop.close()
    assert file.events() == [[("call.settled", 1)]]


async def test_the_end_of_the_process_writes_what_is_gathered() -> None:
    file = Pieces()
    handler, log = gathering(file)
    end_calls(log, 1, 2)
    logging.shutdown([lambda: handler])  # what Python calls when it ends
    assert file.events() == [[("call.settled", 1), ("call.settled", 2)]]


async def test_a_pipe_takes_each_write_as_a_whole() -> None:
    file = Pieces()
    _, log = gathering(file)
    end_calls(log, *range(50), app_id="a" * 300)
    await asyncio.sleep(0)
    assert [number for piece in file.events() for _, number in piece] == [*range(50)]
    assert max(map(len, file.got)) <= select.PIPE_BUF < 2 * min(map(len, file.got[:-1]))


async def test_gathered_lines_that_cannot_be_written_fail_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(Pieces):
        def write(self, data: Any, /) -> int:
            if not self.got:
                self.got.append(b"")
                raise OSError(28, "No space left on device")
            return super().write(data)

    file = Full()
    _, log = gathering(file)
    end_calls(log, 1, 2)
    await asyncio.sleep(0)
    assert "No space left on device" in capsys.readouterr().err
    end_calls(log, 3)
    await asyncio.sleep(0)
    assert file.events() == [[], [("call.settled", 3)]]
