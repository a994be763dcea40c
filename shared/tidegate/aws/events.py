"""Events on a bus of EventBridge, whose rules decide who hears of them.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

import msgspec
from msgspec import Struct

from tidegate.aws.signed_post import post
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import Json, decode, encode
from tidegate.policy.metering.alerts import LogEvents
from tidegate.ports import BudgetAlerts
from tidegate.settings import Settings
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope

SOURCE = "tidegate"

_TIMEOUTS = Timeouts(total=2.0)
"""It is told while the function is billed, after the answer."""

_MAX_BODY_BYTES = 64 * 1024


class EventBridgeBudgetAlerts(Struct, frozen=True):
    """The port `Events`: one signed POST for each."""

    transport: Transport
    aws_keys: AwsKeys
    bus: str
    region: str
    endpoint: str | None = None

    async def emit(self, event: BudgetAlert) -> None:
        """See `Events.emit`. The detail type is the event's kind, e.g. "budget threshold"."""
        entry: Json = {
            "Time": int(event.at),
            "Source": SOURCE,
            "DetailType": event.event_type,
            "Detail": encode(event.detail).decode(),
            "EventBusName": self.bus,
        }
        body = encode({"Entries": [entry]})
        scope, target = SigningScope("events", self.region), "AWSEvents.PutEvents"
        try:
            status, answer = await post(
                self.transport,
                self.aws_keys,
                scope,
                target,
                body,
                at=event.at,
                timeouts=_TIMEOUTS,
                endpoint=self.endpoint,
                max_bytes=_MAX_BODY_BYTES,
            )
        except UpstreamError as error:
            raise StoreUnavailable("EventBridge does not answer.") from error
        if status != 200 or not _is_accepted(answer):
            raise StoreUnavailable(f"EventBridge refused an event with {status}.")


def configured_budget_alerts(settings: Settings, transport: Transport, aws_keys: AwsKeys) -> BudgetAlerts:
    """Who is told, as the settings say: a bus, or else the log."""
    if settings.event_bus is None:
        return LogEvents()
    return EventBridgeBudgetAlerts(
        transport, aws_keys, settings.event_bus, settings.aws.region, settings.aws.events_endpoint
    )


def _is_accepted(answer: bytes) -> bool:
    """An answer of 200 may say that the entry failed."""
    try:
        match decode(answer):
            case {"FailedEntryCount": 0}:
                return True
            case _:
                return False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
