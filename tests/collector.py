"""A collector of OpenTelemetry: it keeps what it is sent, and reads it with the protocol's own messages."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ENDPOINT = "http://collector.test:4318"

_MESSAGES: Mapping[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Received:
    """One request. Header names are in lower case."""

    url: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        gzipped = self.headers.get("content-encoding") == "gzip"
        return json.loads(zlib.decompress(self.body, wbits=31) if gzipped else self.body)

    @property
    def message(self) -> Any:
        """The request as OpenTelemetry's protobuf message. Unknown fields and wrong types are errors.

        The protocol's JSON differs from protobuf's in its ids, which are in hex.
        """
        return json_format.ParseDict(_with_base64_ids(self.json), _MESSAGES[self.path]())


def _with_base64_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_base64_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(each)).decode() if name in _IDS else _with_base64_ids(each)
        for name, each in value.items()
    }


@dataclass
class Collector:
    """What was received, and how the next requests are answered. `provider` answers all others."""

    provider: Any = None
    status: int = 200
    answer: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    received: list[Received] = field(default_factory=list[Received])
    fault: Exception | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path not in _MESSAGES:
            response = self.provider(request)
            return response if isinstance(response, httpx.Response) else await response
        if self.fault is not None:
            raise self.fault
        self.take(str(request.url), request.url.path, dict(request.headers), request.content)
        return httpx.Response(self.status, content=self.answer, headers=dict(self.headers))

    def take(self, url: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.received.append(Received(url, path, {name.lower(): value for name, value in headers.items()}, body))

    @property
    def traces(self) -> list[list[Span]]:
        """The spans of each request, the call's first."""
        return [list(_spans(request.message)) for request in self.received if request.path == "/v1/traces"]

    @property
    def metrics(self) -> list[Metric]:
        messages = [request.message for request in self.received if request.path == "/v1/metrics"]
        return [
            metric
            for message in messages
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


def _spans(message: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def attributes(pairs: Any) -> dict[str, Any]:
    """The attributes of a span, an event, a resource or a data point. No name may appear twice."""
    listed: list[KeyValue] = list(pairs)
    values = {pair.key: _value(pair.value) for pair in listed}
    assert len(values) == len(listed)
    return values


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
