"""Sends a finished call to the operator's OpenTelemetry collector over OTLP/HTTP, as JSON. Implements `Telemetry`.

JSON is encoded by what the gateway has loaded anyway. The binary form needs the packages `opentelemetry-proto` and
`protobuf`, 3 MB in the data plane, and 40 ms with the first call (2026-11). Every collector takes both.

Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md (1.10, read 2026-11).
"""

import asyncio
import logging
import re
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from tidegate.domain.call import Outcome
from tidegate.domain.otel import Attributes, spans_of
from tidegate.domain.otel_metrics import measurements_of
from tidegate.errors import ProviderTimeout, StoreUnavailable, UpstreamError
from tidegate.json import decode
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.ports import CallContent, Secrets
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys
from tidegate.upstream.otlp_json import encode_metrics, encode_resource, encode_traces

log = logging.getLogger(__name__)

HEADERS_SECRET = "TIDEGATE_OTLP_HEADERS"
MAX_SECONDS = 0.2
"""The time that a call waits for the collector once it is settled, all signals together."""

PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 60.0
"""After a failure that can pass, nothing is sent for this long: a collector that is down would cost each call 0.2 s."""

_CONTENT = {"chat": ("tidegate.chat.otel_messages", "content_attributes")}
"""The functions that make the attributes of an operation's content, by its name."""

_MIN_GZIP_BYTES = 1024
_MAX_REPLY_BYTES = 64 * 1024
_MAX_MESSAGE_CHARACTERS = 200
_RETRYABLE = frozenset({429, 502, 503, 504})
_AWS_HOST = re.compile(r"(?:xray|monitoring)\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")
_AWS_SERVICES = {"traces": "xray", "metrics": "monitoring"}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([\t -~]*)")


class _Lost(Exception):
    """The reason why a signal was not delivered, and how long to send nothing."""

    def __init__(self, reason: str, pause_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.pause_seconds = reason, pause_seconds


class _Signal(Struct):
    """One signal and its URL. `skipped` counts the calls that were not sent since `paused_until`."""

    name: str
    url: str
    aws_region: str | None
    paused_until: float = 0.0
    skipped: int = 0


class OtlpTelemetry:
    """Sends `signals` ("traces", "metrics") to `endpoint`, a base URL to which the signals' paths are added.

    Requests have the headers of the secret TIDEGATE_OTLP_HEADERS. Those to CloudWatch's endpoints are signed with
    `aws_keys`. The caller closes `transport`.
    """

    def __init__(
        self,
        endpoint: str,
        signals: Sequence[str],
        service_name: str,
        transport: Transport,
        secrets: Secrets,
        aws_keys: AwsKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resource = encode_resource(service_name)
        self._signals = [_signal(name, endpoint) for name in signals]
        self._transport, self._secrets, self._aws_keys, self._clock = transport, secrets, aws_keys, clock

    async def send(self, outcome: Outcome, content: CallContent | None) -> None:
        """Send the call once. Takes at most 0.2 seconds; a loss is one line in the log."""
        await asyncio.gather(*(self._send_signal(signal, outcome, content) for signal in self._signals))

    async def _send_signal(self, signal: _Signal, outcome: Outcome, content: CallContent | None) -> None:
        try:
            async with asyncio.timeout(MAX_SECONDS):
                payload = await self._payload(signal, outcome, content)
                if payload is None:
                    return
                if self._clock() < signal.paused_until:
                    signal.skipped += 1
                    return
                rejection = await self._post(signal, payload)
        except _Lost as loss:
            self._record_loss(signal, outcome, loss)
        except (TimeoutError, ProviderTimeout):
            self._record_loss(signal, outcome, _Lost("timeout", PAUSE_SECONDS))
        except UpstreamError:
            self._record_loss(signal, outcome, _Lost("unreachable", PAUSE_SECONDS))
        except StoreUnavailable:
            self._record_loss(signal, outcome, _Lost("no credentials", PAUSE_SECONDS))
        else:
            skipped, signal.skipped = signal.skipped, 0
            if skipped or rejection:
                fields = {"call_id": outcome.call.id, "signal": signal.name, "lost": skipped, **rejection}
                log.warning("otlp.rejected" if rejection else "otlp.resumed", extra=fields)

    def _record_loss(self, signal: _Signal, outcome: Outcome, loss: _Lost) -> None:
        signal.paused_until = self._clock() + loss.pause_seconds
        lost, signal.skipped = signal.skipped + 1, 0
        fields = {"call_id": outcome.call.id, "signal": signal.name, "reason": loss.reason, "lost": lost}
        log.warning("otlp.lost", extra=fields)

    async def _post(self, signal: _Signal, body: bytes) -> dict[str, object]:
        """Send the body. Return what the collector has rejected of it, for the log. Raises `_Lost`."""
        headers = {**_parse_headers(await self._secrets.get(HEADERS_SECRET)), "content-type": "application/json"}
        if len(body) >= _MIN_GZIP_BYTES:
            compressor = zlib.compressobj(1, wbits=31)  # gzip, and fast
            body, headers["content-encoding"] = compressor.compress(body) + compressor.flush(), "gzip"
        request = HttpRequest("POST", signal.url, headers, body, peer="The OpenTelemetry collector")
        if signal.aws_region is not None:
            request = await self._sign(signal, signal.aws_region, request)
        async with self._transport.open(request, Timeouts(MAX_SECONDS, connect=MAX_SECONDS)) as response:
            answer = await response.read(_MAX_REPLY_BYTES)
            if not 200 <= response.status < 300:
                raise _Lost(f"status {response.status}", _pause_seconds(response))
        return _rejection(answer)

    async def _sign(self, signal: _Signal, region: str, request: HttpRequest) -> HttpRequest:
        if self._aws_keys is None:
            raise _Lost("no AWS credentials")
        service = AwsService(self._transport, self._aws_keys, region, _AWS_SERVICES[signal.name], clock=self._clock)
        return await service.sign_request(request)

    async def _payload(self, signal: _Signal, outcome: Outcome, content: CallContent | None) -> bytes | None:
        """Return the body of the signal's request; None if there is nothing to send."""
        context = outcome.call.trace_context
        if signal.name == "metrics":
            measurements = measurements_of(outcome)
            return encode_metrics(self._resource, measurements) if measurements else None
        if context is None or context.span_id is None:
            return None
        attributes = None if content is None else await _content_attributes(outcome.call.operation.name, content)
        return encode_traces(self._resource, context, spans_of(outcome, context, attributes))


async def _content_attributes(operation: str, content: CallContent) -> Attributes | None:
    """Return the attributes with the content of a call; None for an operation without such attributes."""
    if operation not in _CONTENT:
        return None
    module, name = _CONTENT[operation]
    make = partial(load(module, name), content.request, content.answer)
    return await offload(len(content.request) + len(content.answer), make)


def _signal(name: str, endpoint: str) -> _Signal:
    """Return the signal's URL. CloudWatch has a host for each signal; the endpoint may name one of them."""
    base = endpoint.rstrip("/").removesuffix(f"/v1/{name}")
    found = _AWS_HOST.fullmatch(urlsplit(base).hostname or "")
    if found is not None:
        base = re.sub(r"//(?:xray|monitoring)\.", f"//{_AWS_SERVICES[name]}.", base)
    return _Signal(name, f"{base}/v1/{name}", found[1] if found else None)


def _parse_headers(text: str | None) -> dict[str, str]:
    """Return the headers of "key=value,key2=value2", whose values are percent-encoded. Raises `_Lost`.

    Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (OTEL_EXPORTER_OTLP_HEADERS).
    """
    headers: dict[str, str] = {}
    for pair in filter(None, (text or "").split(",")):
        name, _, value = pair.partition("=")
        found = _HEADER.fullmatch(f"{name.strip()}={unquote(value.strip())}")
        if found is None:
            raise _Lost(f"{HEADERS_SECRET} is not key=value,key2=value2")
        headers[found[1].lower()] = found[2]
    return headers


def _pause_seconds(response: HttpResponse) -> float:
    if response.status not in _RETRYABLE:
        return 0.0
    after = response.headers.get("retry-after", "")
    return min(float(after), MAX_PAUSE_SECONDS) if after.isascii() and after.isdigit() else PAUSE_SECONDS


def _rejection(answer: bytes) -> dict[str, object]:
    """Return the partial success that the collector reports, for the log; empty if it took everything."""
    try:
        parsed = decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    match parsed:
        case {"partialSuccess": dict(partial)} if partial:
            count = partial.get("rejectedSpans", partial.get("rejectedDataPoints", 0))
            message = str(partial.get("errorMessage") or "")[:_MAX_MESSAGE_CHARACTERS]
            return {"rejected": str(count), "reason": message}
        case _:
            return {}
