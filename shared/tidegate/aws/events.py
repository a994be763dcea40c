"""Budget alerts on an EventBridge bus, whose rules decide who receives them.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

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
"""Short: the alert is sent after the answer, while Lambda still bills the function."""

_MAX_BODY_BYTES = 64 * 1024


class EventBridgeBudgetAlerts(Struct, frozen=True):
    """The port `BudgetAlerts`: one request for each alert."""

    service: AwsService
    bus: str

    async def emit(self, alert: BudgetAlert) -> None:
        """See `BudgetAlerts.emit`. The event's detail type is the alert's type, e.g. "budget threshold"."""
        entry: Json = {
            "Time": int(alert.at),
            "Source": SOURCE,
            "DetailType": alert.event_type,
            "Detail": encode(alert.detail).decode(),
            "EventBusName": self.bus,
        }
        body = encode({"Entries": [entry]})
        try:
            status, answer = await self.service.post("AWSEvents.PutEvents", body, _TIMEOUTS, max_bytes=_MAX_BODY_BYTES)
        except UpstreamError as error:
            raise StoreUnavailable("EventBridge does not answer.") from error
        if status != 200 or not _is_accepted(answer):
            raise StoreUnavailable(f"EventBridge rejected an event (status {status}).")


def create_event_bus(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, bus: str) -> EventBridgeBudgetAlerts:
    """Create the alerts on the bus of that name. Opens nothing; the caller owns `transport`."""
    return EventBridgeBudgetAlerts(AwsService(transport, aws_keys, aws.region, "events", aws.events_endpoint), bus)


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
