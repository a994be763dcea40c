"""The metrics that alarms and the dashboard may name, and texts of the template with their references."""

import re
from typing import Any, get_args

from tests.infra.roles import read_template
from tests.infra.stack import Stack
from tidegate.aws.emf import CLASSES, UNITS
from tidegate.aws.function_log import EVENT_METRICS
from tidegate.domain.call import OutcomeStatus

SERVICES = {
    "sweeper.ran": "keeper",
    "roller.ran": "keeper",
    "part.ended": "batch",
    "batches.swept": "batch",
    "message.failed": "batch",
    "admin.changed": "admin",
}
"""The function that logs an event."""

OUR_METRICS: set[tuple[str, frozenset[tuple[str, str]]]] = {
    *((name, frozenset()) for name in (*UNITS, *(f"{name}_errors" for name in CLASSES))),
    *(("calls", frozenset({("status", status)})) for status in get_args(OutcomeStatus)),
    *(
        (name, frozenset({("service", SERVICES[event])}))
        for event, names in EVENT_METRICS.items()
        for name in names.values()
        if event != "admin.changed"
    ),
    *(("changes", frozenset({("service", "admin"), ("result", name)})) for name in ("done", "refused", "failed")),
}
"""Names and dimensions; those by provider and model family are found with SEARCH."""

_QUEUE, _TABLE, _FUNCTION, _API = (("QueueName",), ("TableName",), ("FunctionName",), ("ApiName", "Stage"))

AWS_METRICS: dict[str, set[tuple[str, tuple[str, ...]]]] = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {(name, _FUNCTION) for name in ("Invocations", "Errors", "Throttles", "ConcurrentExecutions")},
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": {(name, _API) for name in ("Count", "4XXError", "5XXError")},
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    "AWS/DynamoDB": {
        (name, _TABLE)
        for name in (
            *("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"),
            *("ReadThrottleEvents", "WriteThrottleEvents"),
        )
    },
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {(name, _QUEUE) for name in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")},
}
"""AWS's own metrics with their dimensions, as its pages list them (2026-11)."""

_PARAMETERS = read_template()["Parameters"]
_PSEUDO = {"AWS::Region": "eu-central-1", "AWS::StackName": "stack"}


def substitute(node: Any, stack: Stack) -> str:
    """Return the text of `Fn::Sub`: names of resources and parameters stand for themselves, and must exist."""
    match node:
        case str():
            return node
        case {"Fn::Sub": [str(text), dict() as variables]}:
            return _replace(text, stack, {name: substitute(value, stack) for name, value in variables.items()})
        case {"Fn::Sub": str(text)}:
            return _replace(text, stack, {})
        case _:
            raise NotImplementedError(node)


def _replace(text: str, stack: Stack, variables: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in variables or name in _PSEUDO:
            return (variables | _PSEUDO)[name]
        assert name.partition(".")[0] in {*stack.resources, *_PARAMETERS}, name
        return name

    return re.sub(r"\$\{([\w.:]+)\}", value, text)
