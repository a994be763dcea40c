"""The CloudWatch dashboard: valid, of metrics that exist, and free for the first three of an account."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pytest

from tests.infra.metrics import AWS_METRICS, OUR_METRICS, substitute
from tests.infra.stack import Stack
from tests.store_worlds import call_fields
from tidegate.aws.logs import JsonLines
from tidegate.domain.call import OutcomeStatus

Deploy = Callable[..., Stack]
Widget = Mapping[str, Any]

COLUMNS = 24
FREE_METRICS = 50
"""Of each of the three dashboards of the free tier: https://aws.amazon.com/cloudwatch/pricing/ (2026-11)."""


def read_widgets(stack: Stack) -> list[Widget]:
    body = json.loads(substitute(stack.properties("OperationsDashboard")["DashboardBody"], stack))
    assert set(body) == {"start", "periodOverride", "widgets"}
    return body["widgets"]


@pytest.fixture
def widgets(stack: Stack) -> list[Widget]:
    return read_widgets(stack)


def read_metrics(widgets: list[Widget]) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Each metric that a widget names: namespace, name, dimensions, options."""
    for widget in widgets:
        for row in widget["properties"].get("metrics", ()):
            options = row[-1] if isinstance(row[-1], dict) else {}
            words = [word for word in row if isinstance(word, str)]
            if words:
                yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True)), options


def test_widgets_are_beside_each_other(widgets: list[Widget]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for widget in widgets:
        title = widget["properties"]["title"]
        assert 0 <= widget["x"] <= widget["x"] + widget["width"] <= COLUMNS
        for x in range(widget["x"], widget["x"] + widget["width"]):
            for y in range(widget["y"], widget["y"] + widget["height"]):
                assert taken.setdefault((x, y), title) == title
    rows = {y for _, y in taken}
    assert rows == set(range(max(rows) + 1))


def test_each_widget_has_what_its_type_needs(widgets: list[Widget]) -> None:
    for widget in widgets:
        assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
        properties = widget["properties"]
        assert {"title", "region", "view"} <= set(properties)
        assert properties["region"] == "eu-central-1"
        needed = {"metric": {"metrics", "stat", "period"}, "log": {"query"}}[widget["type"]]
        assert needed <= set(properties)


def test_each_metric_is_one_that_the_code_or_aws_has(widgets: list[Widget]) -> None:
    named = list(read_metrics(widgets))
    for namespace, name, dimensions, options in named:
        if namespace.startswith("AWS/"):
            assert (name, tuple(dimensions)) in AWS_METRICS[namespace]
        else:
            assert namespace == "tidegate/stack"
            assert (name, frozenset(dimensions.items())) in OUR_METRICS
        assert set(options) <= {"label", "id", "visible", "stat", "yAxis"}
    assert len(named) + len(list(read_expressions(widgets))) <= FREE_METRICS


def read_expressions(widgets: list[Widget]) -> Iterator[dict[str, str]]:
    for widget in widgets:
        for row in widget["properties"].get("metrics", ()):
            if isinstance(row[0], dict):
                yield row[0]


def test_expressions_are_of_metrics_that_exist(widgets: list[Widget]) -> None:
    ids = {options["id"] for *_, options in read_metrics(widgets) if "id" in options}
    search, others = sorted(read_expressions(widgets), key=lambda row: row["expression"])
    assert search["expression"] == (
        """SEARCH('{"tidegate/stack",model_family,provider} MetricName="cost"', 'Sum', 3600)"""
    )
    assert set(re.findall("[a-z]+", others["expression"])) == ids


def test_all_that_the_code_counts_is_shown(widgets: list[Widget]) -> None:
    shown = {(name, frozenset(dimensions.items())) for _, name, dimensions, _ in read_metrics(widgets)}
    elsewhere = {("calls", frozenset()), ("cost", frozenset())}  # by status, and by provider and model family
    never = {("calls", frozenset({("status", status)})) for status in ("lost", "dry_run")}
    assert OUR_METRICS - shown == elsewhere | never


def test_statuses_are_those_of_calls(widgets: list[Widget]) -> None:
    statuses = {dimensions["status"] for _, _, dimensions, _ in read_metrics(widgets) if "status" in dimensions}
    assert set(get_args(OutcomeStatus)) - statuses == {"lost", "dry_run"}  # neither has a line with metrics


def test_queries_read_fields_that_lines_have(widgets: list[Widget]) -> None:
    failed = {**call_fields(), "status": "failed", "error_code": "provider_error"}
    record = logging.makeLogRecord({"msg": "call.settled", **failed})
    line = json.loads(JsonLines("tidegate").format(record))
    of_lambda = {"type", "record.metrics.initDurationMs"}
    words = {"filter", "stats", "count", "sum", "max", "pct", "as", "by", "bin", "sort", "desc", "limit", "and"}
    queries = [widget["properties"]["query"] for widget in widgets if widget["type"] == "log"]
    assert len(queries) == 3
    for query in queries:
        source, _, rest = query.partition(" | ")
        assert source == "SOURCE 'ChatLogs'"
        aliases = set(re.findall(r" as (\w+)", rest))
        names = set(re.findall(r"[A-Za-z_][\w.]*", re.sub(r'"[^"]*"|\d+m', "", rest)))
        assert names - words - aliases - of_lambda - {"ispresent"} <= set(line)


def test_without_batches_there_are_no_widgets_of_batches(deploy: Deploy) -> None:
    titles = [widget["properties"]["title"] for widget in read_widgets(deploy(Batches="disabled"))]
    assert [title for title in titles if title.startswith("Batches")] == []
    assert len(titles) == 14


def test_it_can_be_left_out(deploy: Deploy) -> None:
    stack = deploy(Dashboard="disabled")
    assert stack.of_type("AWS::CloudWatch::Dashboard") == {}
    assert "DashboardUrl" not in stack.outputs


def test_no_widget_needs_the_admin_api(deploy: Deploy) -> None:
    assert len(read_widgets(deploy(AdminApi="none"))) == 18
