"""What keeper, batches and admin API log: lines of Powertools, metrics that CloudWatch reads, and nothing private."""

import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from msgspec.structs import asdict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.aws.emf_format import Metric, read_metrics
from tests.store_worlds import call_fields
from tidegate.aws.aggregates import RollupResult
from tidegate.aws.function_log import DIMENSIONS, EVENT_METRICS, SECONDS, UNFINISHED, FunctionLog, log_change
from tidegate.aws.sweeper import SweepResult
from tidegate.settings import Settings

NAMESPACE = "tidegate/test"
ENV = {"TIDEGATE_TABLE": "t", "AWS_REGION": "eu-central-1", "TIDEGATE_METRICS": "emf"}
SETTINGS = Settings.from_env({**ENV, "TIDEGATE_METRICS_NAMESPACE": NAMESPACE})
CONTEXT = SimpleNamespace(aws_request_id="3e8a")
log = logging.getLogger("tidegate.somewhere")


class Function(NamedTuple):
    log: FunctionLog
    stream: io.StringIO
    capsys: pytest.CaptureFixture[str]

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log since the last look."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return [json.loads(line) for line in text.split("\n") if line]

    def metrics(self) -> list[dict[Metric, list[float]]]:
        """The lines of metrics on standard output since the last look: each is valid."""
        return [read_metrics(json.loads(line)) for line in self.capsys.readouterr().out.split("\n") if line]


@pytest.fixture(autouse=True)
def no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda sets the variable for each invocation, and so do tests of the runtime."""
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)


@pytest.fixture
def function(capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    yield from open_function(SETTINGS, capsys)


@pytest.fixture
def without_metrics(capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    yield from open_function(Settings.from_env({**ENV, "TIDEGATE_METRICS": "none"}), capsys)


def open_function(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    logger, stream = logging.getLogger("tidegate"), io.StringIO()
    before, level = dict(vars(logger)), logger.level
    handlers = logger.handlers.copy()
    yield Function(FunctionLog(settings, "keeper", stream), stream, capsys)
    vars(logger).clear()
    vars(logger).update(before)
    logger.handlers = handlers
    logger.setLevel(level)


def metric(name: str, **dimensions: str) -> Metric:
    return name, frozenset({"service": "keeper", **dimensions}.items())


def test_events_of_all_modules_are_lines_with_powertools_keys_and_the_request_id(function: Function) -> None:
    def handle(event: object, context: object) -> str:
        log.info("something.happened", extra={"workspace_id": "ws_one", "nothing": None})
        return "answer"

    assert function.log.wrap(handle)({}, CONTEXT) == "answer"
    [line] = function.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("timestamp"))
    assert re.fullmatch(r"handle:\d+", line.pop("location"))
    assert line == {
        "level": "INFO",
        "message": "something.happened",
        "service": "keeper",
        "function_request_id": "3e8a",
        "workspace_id": "ws_one",
    }


@pytest.fixture
def lambdas_handler() -> Iterator[logging.StreamHandler[io.StringIO]]:
    """The handler that Lambda's own runtime gives to the root logger before it imports a function."""
    handler = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_a_line_of_the_package_is_written_once_although_lambda_has_a_handler_of_its_own(
    lambdas_handler: logging.StreamHandler[io.StringIO], function: Function
) -> None:
    function.log.wrap(lambda event, context: log.info("something.happened"))({}, CONTEXT)
    assert (len(function.lines()), lambdas_handler.stream.getvalue()) == (1, "")
    logging.getLogger("elsewhere").warning("something.else")
    assert lambdas_handler.stream.getvalue() == "something.else\n"


def test_a_failure_has_its_exception_and_the_metrics_until_then(function: Function) -> None:
    def handle(event: object, context: object) -> None:
        log.info("sweeper.ran", extra=asdict(SweepResult(lost=2)))
        try:
            raise ValueError("broken".upper())
        except ValueError:
            log.exception("something.failed")
            raise

    with pytest.raises(ValueError, match="BROKEN"):
        function.log.wrap(handle)({}, CONTEXT)
    [_, line] = function.lines()
    assert (line["level"], line["exception_name"]) == ("ERROR", "ValueError")
    assert "stack_trace" not in line and "in handle" in line["exception"]
    assert "BROKEN" not in str(line)  # a message can repeat what a caller sent
    assert function.metrics() == [{metric("holds_lost"): [2.0]}]


EVENTS: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    (
        "sweeper.ran",
        asdict(SweepResult(workspaces=5, lost=3, alerts=2, failed=1)),
        {"holds_lost": 3, "alerts_sent": 2, "workspaces_failed": 1},
    ),
    ("roller.ran", asdict(RollupResult(workspaces=5, hours=4, pending_days=2)), {"hours_rolled": 4, "days_pending": 2}),
    ("part.ended", {"lines": 100, "left": 40, "failed": 3, "lost": 1}, {}),
    (
        "part.ended",
        {"lines": 100, "left": 0, "failed": 3, "lost": 0},
        {"batch_parts": 1, "batch_lines": 100, "batch_lines_failed": 3},
    ),
    (
        "batches.swept",
        {"batches": 2, "lines": 150, "oldest_seconds": 99.5},
        {"open_batches": 2, "open_lines": 150, "oldest_batch_age": 99.5},
    ),
    ("message.failed", {"tries": 3}, {"messages_failed": 1}),
    ("something.else", {"lost": 3}, {}),
]


@pytest.mark.parametrize(("event", "fields", "metrics"), EVENTS)
def test_events_are_metrics_and_what_is_zero_costs_nothing(
    function: Function, event: str, fields: dict[str, Any], metrics: dict[str, float]
) -> None:
    function.log.wrap(lambda _event, _context: log.info(event, extra=fields))({}, CONTEXT)
    expected = {metric(name): [value] for name, value in metrics.items()}
    assert function.metrics() == ([expected] if expected else [])


def test_each_event_with_metrics_is_logged_somewhere() -> None:
    sources = "".join(
        path.read_text() for folder in ("shared", "functions") for path in Path(folder).rglob("*.py") if path.name
    )
    assert {event for event in EVENT_METRICS if f'("{event}"' not in sources} == set()
    assert {*DIMENSIONS, *UNFINISHED} <= set(EVENT_METRICS)
    assert {name for names in EVENT_METRICS.values() for name in names.values()} >= SECONDS


def test_several_values_of_one_invocation_are_one_metric_with_all_of_them(function: Function) -> None:
    def handle(event: object, context: object) -> None:
        for lines in (10, 20):
            log.info("part.ended", extra={"lines": lines, "left": 0, "failed": 0, "lost": 0})

    function.log.wrap(handle)({}, CONTEXT)
    assert function.metrics() == [{metric("batch_parts"): [1.0, 1.0], metric("batch_lines"): [10.0, 20.0]}]


def test_more_values_than_a_line_may_have_are_several_lines(function: Function) -> None:
    def handle(event: object, context: object) -> None:
        for _ in range(250):
            log.error("message.failed")

    function.log.wrap(handle)({}, CONTEXT)
    assert [len(line[metric("messages_failed")]) for line in function.metrics()] == [100, 100, 50]


def test_threads_lose_no_metric(function: Function) -> None:
    def count() -> None:
        for _ in range(200):
            log.error("message.failed")

    def handle(event: object, context: object) -> None:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    function.log.wrap(handle)({}, CONTEXT)
    assert sum(len(line[metric("messages_failed")]) for line in function.metrics()) == 800


def change(method: str, status: int) -> Any:
    return log_change(lambda event, context: {"statusCode": status})({"httpMethod": method}, CONTEXT)


@pytest.mark.parametrize(
    ("status", "result"), [(200, "done"), (204, "done"), (409, "refused"), (429, "refused"), (503, "failed")]
)
def test_changes_are_counted_by_result(function: Function, status: int, result: str) -> None:
    answer = function.log.wrap(lambda event, context: change("PATCH", status))({}, CONTEXT)
    assert answer == {"statusCode": status}
    assert function.metrics() == [{metric("changes", result=result): [1.0]}]


def test_reading_is_no_change(function: Function) -> None:
    function.log.wrap(lambda event, context: change("GET", 500))({}, CONTEXT)
    assert (function.metrics(), function.lines()) == ([], [])


def test_a_dimension_ends_with_its_invocation(function: Function) -> None:
    for status in (200, 409):
        function.log.wrap(lambda event, context, status=status: change("POST", status))({}, CONTEXT)
    function.log.wrap(lambda event, context: log.error("message.failed"))({}, CONTEXT)
    assert function.metrics() == [
        {metric("changes", result="done"): [1.0]},
        {metric("changes", result="refused"): [1.0]},
        {metric("messages_failed"): [1.0]},
    ]


def test_single_requests_of_the_batch_function_have_the_metrics_of_calls(function: Function) -> None:
    function.log.wrap(lambda event, context: log.info("call.settled", extra=call_fields()))({}, CONTEXT)
    [line] = function.lines()
    assert read_metrics(line)["calls", frozenset()] == [1]
    log.info("call.settled", extra={**call_fields(), "batch_id": "batch_1"})
    [line] = function.lines()
    assert "_aws" not in line


def test_without_metrics_there_are_lines_alone(without_metrics: Function) -> None:
    without_metrics.log.wrap(lambda event, context: log.error("message.failed"))({}, CONTEXT)
    log.info("call.settled", extra=call_fields())
    assert [line["message"] for line in without_metrics.lines()] == ["message.failed", "call.settled"]
    assert without_metrics.metrics() == []


MARKER = "marigold-74"


def test_no_event_header_key_or_body_is_logged(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEBUG"):
        monkeypatch.setenv(name, "true")
    Mangum = pytest.importorskip("mangum").Mangum
    logging.getLogger().setLevel(logging.DEBUG)

    async def answer(request: Request) -> JSONResponse:
        body = await request.json()
        logging.getLogger("httpx").info("HTTP Request: %s", body)
        logging.getLogger("httpcore.http11").debug("send_request_headers %s", request.headers)
        return JSONResponse({"key": f"sk-tidegate-{MARKER}", **body})

    app = Starlette(routes=[Route("/admin/v1/keys", answer, methods=["POST"])])
    event = {
        "resource": "/admin/{proxy+}",
        "path": "/admin/v1/keys",
        "httpMethod": "POST",
        "headers": {"authorization": f"Bearer {MARKER}"},
        "multiValueHeaders": {"authorization": [f"Bearer {MARKER}"]},
        "queryStringParameters": {"secret": MARKER},
        "multiValueQueryStringParameters": {"secret": [MARKER]},
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}},
        "body": json.dumps({"name": MARKER}),
        "isBase64Encoded": False,
    }
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        handle = function.log.wrap(log_change(Mangum(app, lifespan="off")))
        found: Any = handle(event, CONTEXT)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        logging.getLogger().setLevel(logging.WARNING)
    assert (found["statusCode"], MARKER in found["body"]) == (200, True)
    written = function.stream.getvalue() + "".join(function.capsys.readouterr())
    assert "admin.changed" in written
    assert MARKER not in written
