"""Budget alerts and events of batches on an EventBridge bus, whose rules decide who receives them.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import Json, decode, encode
from tidegate.settings import AwsSettings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys

SOURCE = "tidegate"

_TIMEOUTS = Timeouts(total=2.0)
"""Short: an alert is sent after the answer, while Lambda still bills the function."""

_MAX_BODY_BYTES = 64 * 1024


class EventBus(Struct, frozen=True):
    """The bus of that name: one request for each event."""

    service: AwsService
    name: str

    async def send(self, at: float, event_type: str, detail: Mapping[str, Json]) -> None:
        """Send one event, whose detail type is `event_type`. Raises `StoreUnavailable`."""
        entry: Json = {
            "Time": int(at),
            "Source": SOURCE,
            "DetailType": event_type,
            "Detail": encode(detail).decode(),
            "EventBusName": self.name,
        }
        body = encode({"Entries": [entry]})
        try:
            status, answer = await self.service.post("AWSEvents.PutEvents", body, _TIMEOUTS, max_bytes=_MAX_BODY_BYTES)
        except UpstreamError as error:
            raise StoreUnavailable("EventBridge does not answer.") from error
        if status != 200 or not _is_accepted(answer):
            raise StoreUnavailable(f"EventBridge rejected an event (status {status}).")


class EventBridgeBudgetAlerts(Struct, frozen=True):
    """The port `BudgetAlerts`."""

    bus: EventBus

    async def emit(self, alert: BudgetAlert) -> None:
        """See `BudgetAlerts.emit`. The event's detail type is the alert's type, e.g. "budget threshold"."""
        await self.bus.send(alert.at, alert.event_type, alert.detail)


def open_event_bus(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, bus: str) -> EventBus:
    """Return the bus of that name. Opens nothing; the caller owns `transport`."""
    return EventBus(AwsService(transport, aws_keys, aws.region, "events", aws.events_endpoint), bus)


def create_event_bus(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, bus: str) -> EventBridgeBudgetAlerts:
    """Create the alerts on the bus of that name. Opens nothing; the caller owns `transport`."""
    return EventBridgeBudgetAlerts(open_event_bus(transport, aws_keys, aws, bus))


def _is_accepted(answer: bytes) -> bool:
    """Check the count of failed entries: an answer with status 200 may report a failure."""
    try:
        match decode(answer):
            case {"FailedEntryCount": 0}:
                return True
            case _:
                return False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
