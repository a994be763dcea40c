"""What the operator hears of by itself."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.metrics import AWS_METRICS, OUR_METRICS, substitute
from tests.infra.roles import read_template
from tests.infra.stack import ROOT, Stack
from tidegate.aws.emf import CLASSES, UNITS
from tidegate.aws.logs import JsonLines

Deploy = Callable[..., Stack]

FILTERS = {
    "LostRecords": ("ChatLogs", '{ $.message = "meter.failed" || $.message = "settlement.failed" }', "LostRecords"),
    "UnsafeRepetitions": ("ChatLogs", '{ $.message = "idempotency.unavailable" }', "UnsafeRepetitions"),
    "LostEvents": ("ChatLogs", '{ $.message = "event.lost" }', "LostEvents"),
    "LostEventsOfKeeper": ("KeeperLogs", '{ $.message = "event.lost" }', "LostEvents"),
    "LostEventsOfBatches": ("BatchLogs", '{ $.message = "event.lost" }', "LostEvents"),
    "LostRecordsOfBatches": (
        "BatchLogs",
        '{ $.message = "meter.failed" || $.message = "settlement.failed" }',
        "LostRecords",
    ),
    "UnsafeRepetitionsOfBatches": ("BatchLogs", '{ $.message = "idempotency.unavailable" }', "UnsafeRepetitions"),
    "RejectedRequests": (
        "BatchLogs",
        '{ $.message = "message.rejected" || $.message = "object.rejected" }',
        "RejectedRequests",
    ),
    "AdminFailures": ("AdminLogs", '{ $.level = "ERROR" }', "AdminFailures"),
}


def sources() -> str:
    return "".join(path.read_text() for path in Path(ROOT / "shared").rglob("*.py"))


def test_lines_of_the_logs_that_cost_money_are_counted(stack: Stack) -> None:
    filters = stack.of_type("AWS::Logs::MetricFilter")
    seen = {name: (each["LogGroupName"]["Ref"], each["FilterPattern"]) for name, each in filters.items()}
    assert seen == {name: (group, pattern) for name, (group, pattern, _) in FILTERS.items()}
    for name, each in filters.items():
        assert each["MetricTransformations"] == [
            {
                "MetricNamespace": {"Fn::Sub": "tidegate/${AWS::StackName}"},
                "MetricName": FILTERS[name][2],
                "MetricValue": "1",
            }
        ]


@pytest.mark.parametrize(
    "event", sorted({event for _, pattern, _ in FILTERS.values() for event in re.findall(r'"(\w+\.\w+)"', pattern)})
)
def test_each_event_that_is_counted_is_logged_under_the_key_that_the_filter_reads(event: str) -> None:
    assert f'"{event}"' in sources()
    record = logging.LogRecord("tidegate", logging.ERROR, "here.py", 1, event, None, None)
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["level"]) == (event, "ERROR")


def test_each_failure_has_an_alarm_that_notifies_the_topic(deploy: Deploy) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    alarms = deploy(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm")
    assert {name: alarm.get("MetricName") for name, alarm in alarms.items()} == {
        "ErrorsAlarm": "Errors",
        "KeeperAlarm": "Errors",
        "SilentKeeperAlarm": "Invocations",
        "ThrottlesAlarm": "Throttles",
        "ServerErrorsAlarm": "5XXError",
        "ProviderErrorsAlarm": None,  # rates, and a percentile, where there are enough calls
        "GatewayErrorsAlarm": None,
        "LimitErrorsAlarm": None,
        "FirstTokenAlarm": None,
        "LostHoldsAlarm": "holds_lost",
        "MeteringAlarm": "LostRecords",
        "IdempotencyAlarm": "UnsafeRepetitions",
        "EventsAlarm": "LostEvents",
        "AdminErrorsAlarm": None,  # a sum of two metrics, one of which is AdminFailures
        "TableThrottlesAlarm": None,
        "BatchErrorsAlarm": "Errors",
        "BatchDeadLettersAlarm": None,  # a sum of two queues
        "BatchDelayAlarm": "ApproximateAgeOfOldestMessage",
        "IntakeDelayAlarm": "ApproximateAgeOfOldestMessage",
    }
    assert {(*alarm["AlarmActions"], *alarm["OKActions"]) for alarm in alarms.values()} == {(topic, topic)}
    missing = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] != "notBreaching"}
    assert missing == {"SilentKeeperAlarm"}


def test_alarms_notify_nobody_by_default(stack: Stack) -> None:
    assert [alarm for alarm in stack.of_type("AWS::CloudWatch::Alarm").values() if "AlarmActions" in alarm] == []


@pytest.mark.parametrize("name", ["MeteringAlarm", "IdempotencyAlarm", "EventsAlarm"])
def test_one_line_is_enough_and_silence_is_fine(stack: Stack, name: str) -> None:
    alarm = stack.properties(name)
    seen = {key: alarm[key] for key in ("Statistic", "EvaluationPeriods", "Threshold", "TreatMissingData")}
    assert seen == {"Statistic": "Sum", "EvaluationPeriods": 1, "Threshold": 1, "TreatMissingData": "notBreaching"}
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_a_keeper_that_nobody_starts_is_missed_after_a_quarter_of_an_hour(stack: Stack) -> None:
    alarm = stack.properties("SilentKeeperAlarm")
    assert (alarm["MetricName"], alarm["Dimensions"]) == (
        "Invocations",
        [{"Name": "FunctionName", "Value": {"Ref": "KeeperFunction"}}],
    )
    assert (alarm["Period"] * alarm["EvaluationPeriods"], alarm["Threshold"]) == (900, 1)
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("LessThanThreshold", "breaching")


def test_crashes_of_the_control_plane_and_errors_that_it_logs_are_heard(stack: Stack) -> None:
    expression, crashes, logged = stack.properties("AdminErrorsAlarm")["Metrics"]
    assert expression["Expression"] == "FILL(crashes, 0) + FILL(logged, 0)"
    metric = crashes["MetricStat"]["Metric"]
    assert (metric["Namespace"], metric["MetricName"], metric["Dimensions"]) == (
        "AWS/Lambda",
        "Errors",
        [{"Name": "FunctionName", "Value": {"Ref": "AdminFunction"}}],
    )
    assert logged["MetricStat"]["Metric"]["MetricName"] == "AdminFailures"


RATES = ("ProviderErrorsAlarm", "GatewayErrorsAlarm", "LimitErrorsAlarm")


def sounds(alarm: dict[str, Any], stack: Stack, minimum: int, *points: dict[str, float]) -> bool:
    """True if the alarm sounds after these data points, the newest last: values by the ids of its metrics."""
    [math] = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    condition, then, otherwise = re.fullmatch(r"IF\((.+), (.+), (.+)\)", substitute(math, stack)).groups()
    code = compile(f"({then}) if ({condition}) else ({otherwise})", "alarm", "eval")
    newest = points[-alarm["EvaluationPeriods"] :]
    # A metric without a value makes no data point, and `notBreaching` counts it as fine.
    breaching = [
        point
        for point in newest
        if point and eval(code, {"AlarmMinimumCalls": minimum}, dict(point)) > float(alarm["Threshold"])
    ]
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    return len(breaching) >= alarm["DatapointsToAlarm"]


@pytest.mark.parametrize("name", RATES)
def test_rates_of_errors_sound_when_there_are_enough_calls(deploy: Deploy, name: str) -> None:
    thresholds = {"ProviderErrorPercent": "10", "GatewayErrorPercent": "10", "LimitErrorPercent": "10"}
    stack = deploy(**thresholds)
    alarm = stack.properties(name)
    bad, good = {"calls": 20, "errors": 3}, {"calls": 1000, "errors": 100}
    assert sounds(alarm, stack, 20, bad, good, bad)
    assert not sounds(alarm, stack, 20, bad, good, good)
    assert not sounds(alarm, stack, 20, bad, bad, good, good)


@pytest.mark.parametrize("name", RATES)
def test_failed_calls_at_night_alarm_nobody(stack: Stack, name: str) -> None:
    one = {"calls": 1, "errors": 1}
    assert not sounds(stack.properties(name), stack, 20, one, one, {}, one, {"calls": 19, "errors": 19})


def test_the_time_to_the_first_token_is_one_of_many_answers(deploy: Deploy) -> None:
    stack = deploy(FirstTokenSeconds="15")
    alarm = stack.properties("FirstTokenAlarm")
    slow, rare = {"answers": 50, "seconds": 15.1}, {"answers": 49, "seconds": 600.0}
    assert sounds(alarm, stack, 50, slow, {}, slow)
    assert not sounds(alarm, stack, 50, rare, rare, rare)
    assert not sounds(alarm, stack, 50, slow, {"answers": 50, "seconds": 15.0}, rare)


def test_alarms_name_metrics_that_the_code_or_aws_has(stack: Stack) -> None:
    filtered = {(name, frozenset()) for _, _, name in FILTERS.values()}
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        stats = [each["MetricStat"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
        for metric in [each["Metric"] for each in stats] or [alarm]:
            dimensions = metric.get("Dimensions", ())
            namespace = substitute(metric["Namespace"], stack)
            if namespace.startswith("AWS/"):
                names = tuple(each["Name"] for each in dimensions)
                known = AWS_METRICS[namespace] | {("Errors", ("FunctionName", "Resource"))}
                assert (metric["MetricName"], names) in known
            else:
                assert namespace == "tidegate/stack"
                values = frozenset((each["Name"], each["Value"]) for each in dimensions)
                assert (metric["MetricName"], values) in OUR_METRICS | filtered


def test_lost_holds_are_counted_over_an_hour(deploy: Deploy) -> None:
    alarm = deploy(LostHolds="7").properties("LostHoldsAlarm")
    seen = {key: alarm[key] for key in ("Statistic", "Period", "EvaluationPeriods", "Threshold", "TreatMissingData")}
    assert seen == {
        "Statistic": "Sum",
        "Period": 3600,
        "EvaluationPeriods": 1,
        "Threshold": "7",
        "TreatMissingData": "notBreaching",
    }


def test_without_metrics_of_calls_there_is_no_alarm_of_them(deploy: Deploy) -> None:
    alarms = deploy(CallMetrics="none").of_type("AWS::CloudWatch::Alarm")
    assert {*RATES, "FirstTokenAlarm", "LostHoldsAlarm"} & set(alarms) == set()


def test_each_alarm_has_a_line_in_the_runbook(stack: Stack) -> None:
    text = (ROOT / "docs" / "OBSERVABILITY.md").read_text()
    _, _, runbook = text.partition("### What to do when an alarm sounds")
    rows = [row.split(" | ") for row in runbook.partition("\n## ")[0].splitlines() if row.startswith("| `")]
    assert {len(row) for row in rows} == {3}
    named = {name for row in rows for name in re.findall(r"`(\w+Alarm)`", row[0])}
    assert named == set(stack.of_type("AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize(
    ("parameters", "metrics"),
    [({}, 26), ({"CallMetrics": "none"}, 17), ({"Batches": "disabled"}, 21), ({"AdminApi": "none"}, 24)],
)
def test_the_metrics_that_alarms_pay_for_are_those_of_the_docs(
    deploy: Deploy, parameters: dict[str, str], metrics: int
) -> None:
    alarms = deploy(**parameters).of_type("AWS::CloudWatch::Alarm").values()
    counts = [sum("MetricStat" in each for each in alarm.get("Metrics", ())) or 1 for alarm in alarms]
    assert sum(counts) == metrics
    text = (ROOT / "docs" / "OBSERVABILITY.md").read_text()
    assert "alarms: 26 metrics at 0.10 USD | 2.60 USD a month" in text
    of_calls = len(UNITS) + len(CLASSES) + 4 + len(UNITS) * 5
    of_functions = len([name for name, dimensions in OUR_METRICS if dict(dimensions).get("service")])
    assert (f"= {of_calls} metrics of calls" in text, f"The {of_functions} of the functions" in text) == (True, True)


def test_the_template_is_within_cloudformations_limits(stack: Stack) -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html (2026-11)
    template = read_template()
    assert len((ROOT / "template.yaml").read_bytes()) < 1_000_000 / 4
    assert len(json.dumps(stack.resources)) < 1_000_000 / 4
    assert (len(stack.resources) < 500 / 2, len(template["Parameters"]) < 200 / 2) == (True, True)
    assert (len(stack.outputs) < 200 / 2, len(template["Conditions"]) < 200) == (True, True)
