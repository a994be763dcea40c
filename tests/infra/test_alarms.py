"""What the operator hears of by itself."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.infra.stack import ROOT, Stack
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
