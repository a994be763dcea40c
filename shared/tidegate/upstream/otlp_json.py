"""Spans and measurements in the JSON of OTLP: ids in hex, 64-bit integers as text, enumerations as numbers. Pure.

Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md (1.10, read 2026-11).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tidegate import __version__
from tidegate.domain.call import TraceContext
from tidegate.domain.otel import Attributes, AttributeValue, Span
from tidegate.domain.otel_metrics import Measurement
from tidegate.json import encode

Encoded: TypeAlias = dict[str, object]

_SCOPE = {"name": "tidegate", "version": __version__}
_KINDS = {"internal": 1, "server": 2, "client": 3}
_SAMPLED, _PARENT_IS_KNOWN, _PARENT_IS_REMOTE = 0x1, 0x100, 0x200
_ERROR = 2
_DELTA = 1
_MAX_INT = 2**63


def encode_resource(service_name: str) -> Encoded:
    """Return what the spans and metrics are of: this gateway."""
    return {"attributes": _encode_attributes({"service.name": service_name, "service.version": __version__})}


def encode_traces(resource: Mapping[str, object], context: TraceContext, spans: Sequence[Span]) -> bytes:
    """Return an `ExportTraceServiceRequest` with spans of one trace."""
    trace = {"traceId": context.trace_id} | ({} if context.state is None else {"traceState": context.state})
    scope_spans = [{"scope": _SCOPE, "spans": [trace | _encode_span(span) for span in spans]}]
    return encode({"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]})


def encode_metrics(resource: Mapping[str, object], measurements: Sequence[Measurement]) -> bytes:
    """Return an `ExportMetricsServiceRequest` with one histogram for each measurement."""
    scope_metrics = [{"scope": _SCOPE, "metrics": [_encode_metric(each) for each in measurements]}]
    return encode({"resourceMetrics": [{"resource": resource, "scopeMetrics": scope_metrics}]})


def _encode_span(span: Span) -> Encoded:
    encoded: Encoded = {
        "spanId": span.span_id,
        "flags": _SAMPLED | _PARENT_IS_KNOWN | (0 if span.kind == "client" else _PARENT_IS_REMOTE),
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": _nanoseconds(span.started_at),
        "endTimeUnixNano": _nanoseconds(max(span.started_at, span.ended_at)),
        "attributes": _encode_attributes(span.attributes),
    }
    if span.parent_id is not None:
        encoded["parentSpanId"] = span.parent_id
    if span.events:
        encoded["events"] = [
            {"timeUnixNano": _nanoseconds(at), "name": name, "attributes": _encode_attributes(attributes)}
            for at, name, attributes in span.events
        ]
    if span.error is not None:
        encoded["status"] = {"code": _ERROR, "message": span.error}
    return encoded


def _encode_metric(measurement: Measurement) -> Encoded:
    buckets: list[object] = ["0"] * (len(measurement.bounds) + 1)
    buckets[bisect_left(measurement.bounds, measurement.value)] = "1"
    point: Encoded = {
        "attributes": _encode_attributes(measurement.attributes),
        "startTimeUnixNano": _nanoseconds(measurement.started_at),
        "timeUnixNano": _nanoseconds(max(measurement.started_at, measurement.ended_at)),
        "count": "1",
        "sum": measurement.value,
        "min": measurement.value,
        "max": measurement.value,
        "bucketCounts": buckets,
        "explicitBounds": list(measurement.bounds),
    }
    histogram: Encoded = {"aggregationTemporality": _DELTA, "dataPoints": [point]}
    return {"name": measurement.name, "unit": measurement.unit, "histogram": histogram}


def _encode_attributes(attributes: Attributes) -> list[object]:
    return [{"key": name, "value": _encode_value(value)} for name, value in attributes.items()]


def _encode_value(value: AttributeValue) -> Encoded:
    match value:
        case bool():
            return {"boolValue": value}
        case int() if -_MAX_INT <= value < _MAX_INT:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case int() | str():
            return {"stringValue": str(value)}
        case _:
            return {"arrayValue": {"values": [_encode_value(each) for each in value]}}


def _nanoseconds(at: float) -> str:
    """Return UTC seconds as nanoseconds. A float has microseconds: the rest would be invented."""
    return str(round(at * 1_000_000) * 1000)
