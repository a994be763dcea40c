import copy
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tests.store_worlds import NOON, aws_world, outcome
from tests.store_worlds import REGION as STORE_REGION
from tidegate.aws.meter import write_settlement
from tidegate.aws.reply_store import DynamoReplyStore
from tidegate.aws.trace_keys import TraceKeys
from tidegate.aws.traces import DynamoTraces
from tidegate.domain.settlement import build_settlement
from tidegate.errors import ConfigurationError
from tidegate.local.embedded import embedded_aws
from tidegate.local.listener import listen
from tidegate.local.stores import local_settings, with_bucket
from tidegate.settings import AwsSettings


def test_the_embedded_aws_answers_on_any_free_port() -> None:
    with embedded_aws(0) as endpoint, urlopen(f"{endpoint}/moto-api/", timeout=10) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_no_web_page_can_use_the_embedded_aws(headers: dict[str, str]) -> None:
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    with embedded_aws(0) as endpoint:
        for request in (
            Request(endpoint, b"{}", target | headers),
            Request(endpoint, None, headers | {"Access-Control-Request-Method": "POST"}, method="OPTIONS"),
            Request(f"{endpoint}/moto-api/", None, headers),
        ):
            with pytest.raises(HTTPError) as caught, urlopen(request, timeout=10):
                pass
            with caught.value as reply:
                assert (reply.code, reply.headers.get("access-control-allow-origin")) == (403, None)


def test_the_embedded_aws_is_on_this_machine_only() -> None:
    with embedded_aws(0) as endpoint:
        assert endpoint.startswith("http://127.0.0.1:")


def test_containers_reach_the_embedded_aws_only_if_it_listens_for_them() -> None:
    for host, status in (("127.0.0.1", 403), ("0.0.0.0", 200)):
        with embedded_aws(0, host) as endpoint:
            assert endpoint.startswith("http://127.0.0.1:")
            port = endpoint.rpartition(":")[2]
            request = Request(f"{endpoint}/moto-api/", headers={"Host": f"host.docker.internal:{port}"})
            try:
                with urlopen(request, timeout=10) as reply:
                    assert reply.status == status
            except HTTPError as error:
                with error:
                    assert error.code == status
            evil = Request(f"{endpoint}/moto-api/", headers={"Host": "evil.example"})
            with pytest.raises(HTTPError) as caught, urlopen(evil, timeout=10):
                pass
            caught.value.close()


def test_two_embedded_awses_do_not_share_a_port() -> None:
    with embedded_aws(0) as endpoint:
        port = int(endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError) as caught, embedded_aws(port):
            pass
    assert (
        caught.value.message
        == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port with --embedded-port."
    )


def test_a_socket_accepts_before_anyone_serves_it() -> None:
    with listen("127.0.0.1", 0) as door, socket.create_connection(door.getsockname()[:2], timeout=5):
        with pytest.raises(ConfigurationError):
            listen("127.0.0.1", door.getsockname()[1])


def test_the_table_is_here_and_the_account_of_the_environment_stays_for_bedrock() -> None:
    account = {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "mine",
        "TIDEGATE_TABLE": "production",
        "TIDEGATE_PROVIDER_SECRET": "production",
        "TIDEGATE_REPLY_BUCKET": "production",
        "AWS_ENDPOINT_URL": "http://elsewhere",
    }
    settings = local_settings(account, "http://127.0.0.1:8001")
    assert (settings.table, settings.provider_secret) == ("tidegate", None)
    assert settings.aws == AwsSettings("us-east-1", "http://127.0.0.1:8001")
    assert settings.reply_bucket is None
    assert with_bucket(settings, "http://127.0.0.1:8001").reply_bucket == "tidegate-replies"
    assert with_bucket(settings, "http://127.0.0.1:8001").aws.s3_endpoint == "http://127.0.0.1:8001"
    assert (settings.environment["AWS_REGION"], settings.environment["AWS_ACCESS_KEY_ID"]) == ("eu-west-1", "mine")


async def test_a_refused_record_moves_no_counter() -> None:
    with embedded_aws(0) as endpoint:
        async with aws_world(endpoint) as world:
            await world.meter.record(outcome(id="chatcmpl-one"))
            before = await world.usages.counters("ws_one", "M#2026-11")
            await world.meter.record(outcome(id="chatcmpl-one", attempts=2))
            assert await world.usages.counters("ws_one", "M#2026-11") == before


async def test_a_transaction_copies_counters_and_nothing_that_is_only_replaced() -> None:
    with embedded_aws(0) as endpoint:
        async with aws_world(endpoint) as world:
            assert world.store
            await write_settlement(world.store, build_settlement(outcome()))
            await world.signatures.keep("ws_one", "turn", [{"type": "reasoning.text"}])
            await DynamoReplyStore(world.store).keep("ws_one", "reply", b"{}", 60)
            await DynamoTraces(world.store, TraceKeys(world.store)).keep("ws_one", "call", b"{}", NOON + 60)
            table: Any = dynamodb_backends[DEFAULT_ACCOUNT_ID][STORE_REGION].tables[world.store.table]
            copies = copy.deepcopy(table).items
    places = [(partition, at) for partition, items in table.items.items() for at in items]
    shared = {at.value for partition, at in places if table.items[partition][at] is copies[partition][at]}
    assert {at.value for _, at in places} - shared == {"USE#D#2026-11-21", "KEY"}
    assert sorted(at.partition("#")[0] for at in shared) == ["CACHE", "CALL", "TRACE", "TURN"]
