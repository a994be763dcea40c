"""Replies that are kept on the embedded AWS, by one process for another, in its table and in its bucket."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.world import Client, Recorder, Reply
from tidegate.api.app import build_app
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.gateway import open_aws_gateway
from tidegate.aws.reply_store import MAX_ITEM_BYTES, configured_bucket
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.local.demo import DEMO_BASE_URL, DEMO_ROW, DemoTransport
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.embedded import embedded_aws
from tidegate.local.stores import EMBEDDED_CREDENTIALS, local_settings, with_bucket
from tidegate.settings import Settings
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport
from tidegate.transport.choose import create_transport

DEMO_KEY = "sk-tidegate-demo"


async def prepared(settings: Settings) -> None:
    http = create_transport(settings.transport)
    client = create_dynamo_client(http, EMBEDDED_CREDENTIALS, settings.aws.region, settings.aws.dynamodb_endpoint)
    await create_table(client, settings.table)
    store = Store(client, settings.table)
    await seed_demo_tenant(DynamoTenants(store), DynamoKeys(store), DEMO_KEY)
    bucket = configured_bucket(settings, client)
    assert bucket is not None
    await bucket.create()
    await http.close()


@asynccontextmanager
async def process(settings: Settings, demo: type[DemoTransport] = DemoTransport) -> AsyncIterator[Client]:
    def quick(inner: Transport) -> Transport:
        return demo(inner, pause_seconds=0)

    overrides = Overrides(rows=(DEMO_ROW,), wrap=quick)
    app: Any = build_app(
        lambda: open_aws_gateway(settings, overrides, table_credentials=EMBEDDED_CREDENTIALS), ServerOptions()
    )
    async with app.lifespan() as state:
        app.lifespan_state = state
        yield Client(app, Recorder(), [])


async def asked(settings: Settings, body: Any, **headers: str) -> Reply:
    """In a process of its own."""
    async with process(settings) as client:
        return await client.post(body, headers={"authorization": f"Bearer {DEMO_KEY}", **headers})


def said(reply: Reply) -> str:
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return str(reply.json["choices"][0]["message"]["content"])
    choices = (choice for event in reply.events[:-1] for choice in event["choices"])
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("size", [20, 3 * MAX_ITEM_BYTES], ids=["item", "object"])
async def test_another_process_gives_what_one_has_kept(size: int) -> None:
    text = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}]}
    with embedded_aws(0) as endpoint:
        settings = with_bucket(local_settings({}, endpoint), endpoint)
        await prepared(settings)
        cached = {**body, "cache": {"namespace": str(size)}}
        first = await asked(settings, {**cached, "stream": True})
        second = await asked(settings, cached)
        key = {"idempotency-key": f"key-{size}"}
        made = await asked(settings, body, **key)
        again = await asked(settings, body, **key)
    assert (first.headers["x-tidegate-cache"], second.headers["x-tidegate-cache"]) == ("miss", "hit")
    assert said(first) == said(second) == text
    assert (again.headers["idempotent-replayed"], again.json) == ("true", made.json)
    assert "idempotent-replayed" not in made.headers


class Counting(DemoTransport):
    """The demo provider, and how often it was asked."""

    asked = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        if request.url.startswith(DEMO_BASE_URL):
            Counting.asked += 1
        async with super().open(request, timeouts) as response:
            yield response


async def test_of_many_calls_with_one_key_in_two_processes_one_is_made() -> None:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello, calm sea."}]}
    headers = {"authorization": f"Bearer {DEMO_KEY}", "idempotency-key": "once"}
    with embedded_aws(0) as endpoint:
        settings = with_bucket(local_settings({}, endpoint), endpoint)
        await prepared(settings)
        async with process(settings, Counting) as one, process(settings, Counting) as other:
            replies = await asyncio.gather(*(client.post(body, headers=headers) for client in [one, other] * 8))
            late = await other.post(body, headers=headers)
    made = [reply for reply in replies if reply.status == 200 and "idempotent-replayed" not in reply.headers]
    assert (len(made), Counting.asked) == (1, 1)
    assert {reply.status for reply in replies} <= {200, 409}
    assert (late.headers["idempotent-replayed"], late.json) == ("true", made[0].json)
