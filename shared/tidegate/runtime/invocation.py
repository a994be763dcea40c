"""One invocation, from its event to the last byte and the work after it, within its deadline."""

import asyncio
import json
import math
import time
from collections.abc import Awaitable

from msgspec import Struct

from tidegate.runtime.asgi import App, Json
from tidegate.runtime.delivery import Delivery, Streamed, Whole
from tidegate.runtime.endpoint import Endpoint, Invocation
from tidegate.runtime.event import MalformedEvent, Request, UnknownEvent, payload_of, request_of
from tidegate.runtime.exchange import Exchange
from tidegate.runtime.failure import (
    DEADLINE_PASSED,
    INCOMPLETE,
    SHUTTING_DOWN,
    UNKNOWN_EVENT,
    Failure,
    crash,
    log,
    malformed_event,
)

EXTENSION = "tidegate.lambda"
CLIENT_EXTENSION = "tidegate.client"

_GUARD_SECONDS = 0.5
"""How long before the deadline the application is cancelled, if it has not ended by itself."""

_GRACE_SECONDS = 0.3
"""How long a cancelled application may still settle before the response ends without it, where there is time."""


class Service(Struct, frozen=True):
    """The application, and how it is reached."""

    app: App
    endpoint: Endpoint
    state: dict[str, object]
    """The state that the application's start-up left; every call gets a shallow copy."""
    streams: bool


async def serve(service: Service, invocation: Invocation) -> None:
    """Answer one invocation; return when the application has returned, so that its work after the response is done.

    Cancelling this ends the response early. Failures are answered and logged; none is raised.
    """
    try:
        event = _parse(invocation.event)
        payload = payload_of(event)
    except UnknownEvent:
        log("event.unknown", requestId=invocation.request_id)
        await _tolerate_loss(service.endpoint.fail(invocation, UNKNOWN_EVENT), invocation)
        return
    delivery = (Streamed if service.streams else Whole)(service.endpoint, invocation, payload)
    try:
        await _answer(service, invocation, event, delivery)
    finally:
        delivery.close()


def seconds_until_guard(deadline: float, now: float) -> float | None:
    """When to cancel an application that has not ended, or None where no deadline is known."""
    if math.isinf(deadline):
        return None
    left = max(0.0, deadline - now)
    return max(left - _GUARD_SECONDS, left / 2)


async def _answer(service: Service, invocation: Invocation, event: Json, delivery: Delivery) -> None:
    try:
        request = request_of(event)
    except MalformedEvent as error:
        log("event.malformed", "WARNING", requestId=invocation.request_id, reason=str(error))
        exchange = Exchange(b"", delivery, method="", request_id=invocation.request_id)
        await _tolerate_loss(exchange.fail(malformed_event(str(error))), invocation)
        return
    method = str(request.scope["method"])
    exchange = Exchange(request.body, delivery, method=method, request_id=invocation.request_id)
    _extend(request, exchange, invocation, event, service.state)
    task = asyncio.create_task(_call(service.app, request, exchange))
    cut: Failure | None = None
    try:
        await asyncio.wait({task}, timeout=seconds_until_guard(invocation.deadline, time.time()))
        cut = None if task.done() else DEADLINE_PASSED
    except asyncio.CancelledError:
        cut = SHUTTING_DOWN
        raise
    finally:
        if cut is not None:
            await _cut(task, exchange, cut, invocation)
        await asyncio.wait({task})
        await _explain(task, exchange, invocation)


async def _call(app: App, request: Request, exchange: Exchange) -> None:
    await app(request.scope, exchange.receive, exchange.send)


async def _cut(task: "asyncio.Task[None]", exchange: Exchange, failure: Failure, invocation: Invocation) -> None:
    """Make the application stop, let it settle, and end the response that it leaves open.

    Past the response there is nothing to cut: what still runs is the metering, and a task's cancellation would
    interrupt that even inside a shield.
    """
    if exchange.is_over:
        return
    task.cancel()
    left = max(0.0, invocation.deadline - time.time())
    await asyncio.wait({task}, timeout=min(_GRACE_SECONDS, 0.6 * left))
    if not exchange.is_over:
        log("invocation.cut", requestId=invocation.request_id, errorType=failure.error_type)
        await _tolerate_loss(exchange.fail(failure), invocation)


async def _explain(task: "asyncio.Task[None]", exchange: Exchange, invocation: Invocation) -> None:
    """Log what the ended application raised, and end the response if it did not."""
    error = None if task.cancelled() else task.exception()
    failure = crash(error) if error else INCOMPLETE
    # Once the response is over, `OSError` is how the application was told so.
    if error and not (exchange.is_over and isinstance(error, OSError)):
        log("app.crashed", requestId=invocation.request_id, errorType=failure.error_type, stackTrace=failure.stack)
    if exchange.is_over:
        return
    if not error:
        log("app.incomplete", requestId=invocation.request_id)
    await _tolerate_loss(exchange.fail(failure), invocation)


async def _tolerate_loss(step: Awaitable[None], invocation: Invocation) -> None:
    try:
        await step
    except OSError as error:
        log("response.lost", requestId=invocation.request_id, errorType=type(error).__name__)


def _extend(
    request: Request, exchange: Exchange, invocation: Invocation, event: Json, state: dict[str, object]
) -> None:
    request.scope["state"] = dict(state)
    request.scope["extensions"] = {
        EXTENSION: {
            "deadline": invocation.deadline,
            "request_id": invocation.request_id,
            "function_arn": invocation.function_arn,
            "event": event,
        },
        CLIENT_EXTENSION: exchange,
    }


def _parse(event: bytes) -> Json:
    try:
        return json.loads(event)
    except (ValueError, RecursionError):
        raise UnknownEvent("the event is not JSON") from None
