"""Webhooks of batches: what OpenAI's SDK makes of them, and how often they are sent."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import pytest
from msgspec.structs import replace

from tests.batch.world import NOON, BatchWorld, batch_world, requests
from tests.world import WORKSPACE
from tidegate.batch.announcements import announce_end
from tidegate.batch.messages import Notify
from tidegate.batch.transitions import change_batch
from tidegate.batch.webhook import MAX_ATTEMPTS, WebhookSender
from tidegate.domain.batch import Batch, BatchStatus
from tidegate.domain.webhook import WEBHOOK_SECRET
from tidegate.domain.workspace import Workspace
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.media_fetcher import MediaFetcher

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
URL = "https://hook.example/batches?for=us"


@dataclass
class Hook:
    """A webhook's server, which answers with `statuses`, and with the last one from then on."""

    statuses: list[int] = field(default_factory=lambda: [204])
    requests: list[httpx.Request] = field(default_factory=list[httpx.Request])
    times: list[float] = field(default_factory=list[float])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, headers={"location": "https://other.example/"})


@asynccontextmanager
async def hooked(
    hook: Hook, *, url: str | None = URL, secret: str | None = SECRET, address: str = "93.184.216.34", copies: int = 1
) -> AsyncIterator[BatchWorld]:
    async def resolve(host: str, port: int) -> list[str]:
        return [address]

    async with batch_world(workspace=replace(WORKSPACE, batch_webhook=url), copies=copies) as world:
        await world.memory.vault.update(WORKSPACE.id, lambda _: {WEBHOOK_SECRET: secret} if secret else {})
        async with httpx.AsyncClient(transport=httpx.MockTransport(hook)):
            fetcher = MediaFetcher(HttpxTransport(httpx.MockTransport(hook)), resolve=resolve)

        @dataclass
        class Timed:
            async def send(self, workspace: Workspace, event_id: str, body: bytes) -> int | None:
                hook.times.append(world.clock() - NOON)
                sender = WebhookSender(fetcher, world.memory.vault, world.clock)
                return await sender.send(workspace, event_id, body)

        world.components = replace(world.components, webhooks=Timed())
        yield world


async def ended(world: BatchWorld, status: BatchStatus = "completed") -> Batch:
    """A batch that has just ended, without messages of its other steps."""
    batch = await world.submit(requests(1))
    world.queue.due.clear()

    def end(stored: Batch) -> Batch:
        return replace(stored, status=status, **{f"{status}_at": NOON + 60})

    done = await change_batch(world.components, batch.workspace_id, batch.id, end)
    assert done is not None
    await announce_end(world.components, done)
    return done


@pytest.mark.jumping_clock
@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
async def test_openais_sdk_accepts_what_a_webhook_gets(status: BatchStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Hook()
    async with hooked(hook) as world:
        batch = await ended(world, status)
        await world.run_until_idle()
    [request] = hook.requests
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(request.content) == {
        "id": f"evt_{batch.id.removeprefix('batch_')}",
        "object": "event",
        "created_at": int(NOON + 60),
        "type": f"batch.{status}",
        "data": {"id": batch.id},
    }
    monkeypatch.setattr("time.time", lambda: NOON + 90)
    client = openai.OpenAI(api_key="-", webhook_secret=SECRET)
    event = client.webhooks.unwrap(request.content, request.headers)
    assert (event.type, event.data.id) == (f"batch.{status}", batch.id)
    assert request.headers["webhook-id"] == event.id
    for part in ("webhook-id", "webhook-timestamp"):
        headers = {**request.headers, part: request.headers[part] + "1"}
        with pytest.raises((openai.InvalidWebhookSignatureError, ValueError)):
            client.webhooks.unwrap(request.content, headers)


@pytest.mark.jumping_clock
async def test_a_webhook_that_fails_is_asked_again_for_a_day_and_no_longer() -> None:
    hook = Hook([0, 500, 404, 302, 429, 500])
    async with hooked(hook) as world:
        await ended(world)
        await world.run_until_idle()
    waits = [round(after - before) for before, after in zip(hook.times, hook.times[1:], strict=False)]
    assert (waits[:5], set(waits[4:]), len(hook.times)) == ([5, 60, 300, 900, 900], {900}, MAX_ATTEMPTS)
    assert 86_400 <= hook.times[-1] <= 90_000
    assert {request.headers["host"] for request in hook.requests} == {"hook.example"}  # redirects are not followed
    assert len({request.content for request in hook.requests}) == 1
    assert len({request.headers["webhook-signature"] for request in hook.requests}) == MAX_ATTEMPTS


@pytest.mark.jumping_clock
@pytest.mark.parametrize(("statuses", "count"), [([500, 500, 200], 3), ([500, 410], 2), ([201], 1)])
async def test_a_webhook_that_accepts_or_is_gone_is_left_alone(statuses: list[int], count: int) -> None:
    hook = Hook(statuses)
    async with hooked(hook) as world:
        await ended(world)
        await world.run_until_idle()
    assert len(hook.requests) == count


@pytest.mark.jumping_clock
async def test_a_message_that_is_delivered_twice_does_not_double_the_attempts() -> None:
    hook = Hook([500])
    async with hooked(hook, copies=2) as world:
        await ended(world)
        await world.run_until_idle()
    assert len(hook.requests) == 2 * MAX_ATTEMPTS


@pytest.mark.jumping_clock
@pytest.mark.parametrize(
    "options",
    [{"url": None}, {"url": "http://hook.example/"}, {"secret": None}],
    ids=["no url", "not https", "no secret"],
)
async def test_nothing_is_sent_without_a_url_and_a_secret(options: dict[str, Any]) -> None:
    hook = Hook()
    async with hooked(hook, **options) as world:
        await ended(world)
        await world.run_until_idle()
    assert (hook.requests, len(hook.times) <= 1) == ([], True)


@pytest.mark.jumping_clock
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_no_private_address_gets_an_event(address: str) -> None:
    hook = Hook()
    async with hooked(hook, address=address) as world:
        await ended(world)
        await world.run_until_idle()
    assert hook.requests == []


@pytest.mark.jumping_clock
async def test_a_suspended_workspace_and_a_batch_that_is_gone_get_nothing() -> None:
    hook = Hook()
    async with hooked(hook) as world:
        await world.components.queue.send(Notify(WORKSPACE.id, "batch_unknown", "batch.completed", "evt_1"))
        await world.run_until_idle()
        await ended(world)
        await world.memory.tenants.set_workspace_status(WORKSPACE.id, "suspended")
        await world.run_until_idle()
    assert hook.requests == []


async def test_the_end_of_a_batch_is_an_event_as_well() -> None:
    async with hooked(Hook()) as world:
        one, two, three = [await ended(world, status) for status in ("completed", "failed", "cancelled")]
        assert world.events.emitted == [("BatchCompleted", one), ("BatchFailed", two), ("BatchCompleted", three)]
