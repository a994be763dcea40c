import json

import pytest

from tests.aws.script import ScriptedTransport, fault
from tests.store_worlds import NOON, REGION
from tidegate.aws.events import EventBridgeBudgetAlerts, EventBus
from tidegate.aws.world import AwsWorld
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable
from tidegate.policy.metering.alerts import LogBudgetAlerts
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Transport
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey, AwsKeys

EVENT = BudgetAlert("budget threshold", NOON, {"workspace_id": "ws_one", "limit": "usd_per_month", "threshold": 80})
TAKEN = (200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


async def no_key() -> AwsKey:
    raise StoreUnavailable("There are no AWS credentials.")


def event_bridge(transport: Transport, keys: AwsKeys, endpoint: str | None = None) -> EventBridgeBudgetAlerts:
    service = AwsService(transport, keys, REGION, "events", endpoint, lambda: NOON)
    return EventBridgeBudgetAlerts(EventBus(service, "default"))


async def test_an_event_is_one_signed_request() -> None:
    transport = ScriptedTransport([TAKEN])
    await event_bridge(transport, aws_key).emit(EVENT)
    [sent] = transport.requests
    assert (sent.method, sent.url) == ("POST", "https://events.eu-central-1.amazonaws.com/")
    assert sent.headers["x-amz-target"] == "AWSEvents.PutEvents"
    scope = "testing/20261121/eu-central-1/events/aws4_request"
    assert sent.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={scope}, ")
    [entry] = json.loads(sent.body)["Entries"]
    assert json.loads(entry.pop("Detail")) == EVENT.detail
    assert entry == {
        "Time": int(NOON),
        "Source": "tidegate",
        "DetailType": "budget threshold",
        "EventBusName": "default",
    }


@pytest.mark.parametrize(
    "trouble",
    [
        fault("AccessDeniedException"),
        (500, b""),
        (200, b"<html>"),
        (200, []),
        (200, {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}),
        ProviderTimeout("late"),
        ProviderUnreachable("gone"),
    ],
)
async def test_trouble_is_one_kind_of_error(trouble: object) -> None:
    with pytest.raises(StoreUnavailable, match="EventBridge"):
        await event_bridge(ScriptedTransport([trouble]), aws_key).emit(EVENT)


async def test_without_credentials_nothing_is_sent() -> None:
    transport = ScriptedTransport([TAKEN])
    with pytest.raises(StoreUnavailable, match="credentials"):
        await event_bridge(transport, no_key).emit(EVENT)
    assert transport.requests == []


async def test_a_real_endpoint_takes_it(aws_endpoint: str) -> None:
    transport = ReqwestTransport()
    await event_bridge(transport, aws_key, aws_endpoint).emit(EVENT)
    await transport.close()


def test_the_settings_say_who_is_told() -> None:
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": REGION, "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://events"}
    transport = ScriptedTransport([TAKEN])
    assert isinstance(AwsWorld(Settings.from_env(env), http=transport).budget_alerts(), LogBudgetAlerts)
    world = AwsWorld(Settings.from_env({**env, "TIDEGATE_EVENT_BUS": "tides"}), http=transport)
    service = AwsService(transport, world.signing_keys, REGION, "events", "http://events")
    assert world.budget_alerts() == EventBridgeBudgetAlerts(EventBus(service, "tides"))
