"""The embedded metric format, as CloudWatch's specification and its JSON schema say it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
and https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html (2026-11)
"""

from typing import Any

import jsonschema

BYTES = [f"{size}{unit}" for unit in ("bytes", "bits") for size in ("Kilo", "Mega", "Giga", "Tera")] + ["Bytes", "Bits"]
UNITS = ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"]
NAME = {"type": "string", "minLength": 1, "maxLength": 255}
METRIC = {
    "type": "object",
    "required": ["Name"],
    "properties": {
        "Name": NAME,
        "Unit": {"enum": UNITS + BYTES + [f"{unit}/Second" for unit in BYTES]},
        "StorageResolution": {"enum": [1, 60]},
    },
    "additionalProperties": False,
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": {**NAME, "pattern": r"^[0-9A-Za-z.\-_/#:]+$", "not": {"pattern": "^AWS/"}},
        "Dimensions": {"type": "array", "minItems": 1, "items": {"type": "array", "maxItems": 30, "items": NAME}},
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": METRIC},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                # Milliseconds: the years 2017 to 2128. Seconds or microseconds are outside.
                "Timestamp": {"type": "integer", "minimum": 1_500_000_000_000, "maximum": 5_000_000_000_000},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
            },
            "additionalProperties": False,
        }
    },
}
NUMBER = {"type": "number", "minimum": -(2.0**360), "maximum": 2.0**360}
VALUE = {"anyOf": [NUMBER, {"type": "array", "minItems": 1, "maxItems": 100, "items": NUMBER}]}
DIMENSION_VALUE = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[ -~]*[!-9;-~][ -~]*$"}

Metric = tuple[str, frozenset[tuple[str, str]]]
"""What CloudWatch charges for: a name, with the values of its dimensions."""


def read_metrics(line: dict[str, Any]) -> dict[Metric, list[float]]:
    """The values of the metrics that CloudWatch takes from a line. Raises `ValidationError` if it is not valid."""
    jsonschema.validate(line, SCHEMA)
    found: dict[Metric, list[float]] = {}
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for dimensions in directive["Dimensions"]:
            for name in dimensions:
                jsonschema.validate(line.get(name), DIMENSION_VALUE)
            values = frozenset((name, line[name]) for name in dimensions)
            for metric in directive["Metrics"]:
                jsonschema.validate(line.get(metric["Name"]), VALUE)
                key = (metric["Name"], values)
                # Two values of one metric in a line would be counted twice.
                assert key not in found
                value = line[metric["Name"]]
                found[key] = value if isinstance(value, list) else [value]
    return found
