"""Events of batches on a bus."""

import json

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, fault
from tests.batch_values import batch
from tests.store_worlds import NOON, REGION
from tidegate.aws.batch_events import MAX_FAULTS, EventBridgeBatchEvents, create_batch_events
from tidegate.aws.events import EventBus
from tidegate.batch.views import batch_json
from tidegate.domain.batch import BatchFault
from tidegate.errors import ProviderUnreachable
from tidegate.settings import AwsSettings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKey

TAKEN = (200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


def batch_events(transport: Transport) -> EventBridgeBatchEvents:
    events = create_batch_events(transport, aws_key, AwsSettings(REGION), "tides")
    assert events.bus == EventBus(AwsService(transport, aws_key, REGION, "events", None), "tides")
    return replace(events, clock=lambda: NOON)


async def test_the_detail_is_the_batch_as_clients_see_it_and_its_workspace() -> None:
    transport = ScriptedTransport([TAKEN])
    await batch_events(transport).emit("BatchCompleted", batch())
    [sent] = transport.requests
    [entry] = json.loads(sent.body)["Entries"]
    detail = json.loads(entry.pop("Detail"))
    assert entry == {"Time": int(NOON), "Source": "tidegate", "DetailType": "BatchCompleted", "EventBusName": "tides"}
    assert detail == {**json.loads(json.dumps(batch_json(batch()))), "workspace_id": batch().workspace_id}


async def test_an_event_stays_below_what_the_bus_takes() -> None:
    faults = tuple(BatchFault("invalid_json_line", "x" * 2000, line) for line in range(1000))
    transport = ScriptedTransport([TAKEN])
    await batch_events(transport).emit("BatchFailed", replace(batch(), errors=faults))
    [sent] = transport.requests
    assert len(sent.body) < 128 * 1024
    assert len(json.loads(json.loads(sent.body)["Entries"][0]["Detail"])["errors"]["data"]) == MAX_FAULTS


@pytest.mark.parametrize("trouble", [fault("AccessDeniedException"), ProviderUnreachable("gone"), TimeoutError()])
async def test_an_event_that_is_lost_stops_nothing_and_is_logged(
    trouble: object, caplog: pytest.LogCaptureFixture
) -> None:
    await batch_events(ScriptedTransport([trouble])).emit("BatchPaused", batch())
    [record] = caplog.records
    assert (record.message, record.levelname, record.__dict__["kind"]) == ("event.lost", "ERROR", "BatchPaused")
