"""Tells a workspace's webhook that a batch has ended: signed, and sent again until it is accepted, for a day.

The events are those of OpenAI, whose SDK reads and verifies them: `client.webhooks.unwrap(body, headers)`.
Sources: https://platform.openai.com/docs/api-reference/webhook-events and
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11)
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.messages import Notify
from tidegate.domain.batch import Batch
from tidegate.domain.webhook import WEBHOOK_SECRET, decode_secret, signed_headers
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, UpstreamError, WorkspaceForbidden
from tidegate.ports import Vault
from tidegate.transport.base import HttpRequest, Timeouts
from tidegate.transport.media_fetcher import MediaFetcher

log = logging.getLogger(__name__)

RETRY_SECONDS = (5.0, 60.0, 300.0, 900.0)
"""The time after each failed attempt; the last one holds for all that follow."""

MAX_ATTEMPTS = 100
"""The last one is sent a day after the first."""

TIMEOUT_SECONDS = 15.0

_GONE = 410
_SAME_ATTEMPT_SECONDS = 20.0


class WebhookSender(Struct, frozen=True):
    """The port `Webhooks`: POSTs to public addresses over https. `fetcher` has the transport, and checks addresses."""

    fetcher: MediaFetcher
    vault: Vault | None = None
    clock: Callable[[], float] = time.time

    async def send(self, workspace: Workspace, event_id: str, body: bytes) -> int | None:
        """See `Webhooks.send`."""
        url = workspace.batch_webhook
        if self.vault is None or url is None or not url.startswith("https://"):
            return _GONE
        secret = (await self.vault.read(workspace.id)).get(WEBHOOK_SECRET)
        if secret is None:
            return _GONE
        headers = signed_headers(decode_secret(secret), event_id, int(self.clock()), body)
        headers |= {"content-type": "application/json", "user-agent": "tidegate"}
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                address = await self.fetcher.find_public_address(url, "batch_webhook")
                request = HttpRequest("POST", url, headers, body, address, "The webhook")
                async with self.fetcher.transport.open(request, Timeouts(total=TIMEOUT_SECONDS)) as response:
                    return response.status
        except (InvalidRequest, UpstreamError, TimeoutError):
            return None


async def notify(components: BatchComponents, message: Notify) -> None:
    """Send the event, and a message for the next attempt if it was not accepted."""
    if components.webhooks is None:
        return
    try:
        _, workspace = await components.callers.find_caller(message.workspace_id, None)
    except WorkspaceForbidden:
        return
    batch = await components.table.find_batch(message.workspace_id, message.batch_id)
    if batch is None or workspace.batch_webhook is None:
        return
    status = await components.webhooks.send(workspace, message.event_id, event_body(message, batch))
    facts = {"batch_id": batch.id, "workspace_id": workspace.id, "attempt": message.attempt, "status": status}
    if status is not None and 200 <= status < 300:
        log.info("webhook.accepted", extra=facts)
        return
    log.warning("webhook.failed", extra=facts)
    if status != _GONE and message.attempt < MAX_ATTEMPTS:
        await _try_again(components, message)


def event_body(message: Notify, batch: Batch) -> bytes:
    """Return the event as OpenAI sends it. All attempts have the same."""
    ended_at = batch.completed_at or batch.failed_at or batch.expired_at or batch.cancelled_at or batch.created_at
    event = {
        "id": message.event_id,
        "object": "event",
        "created_at": int(ended_at),
        "type": message.event,
        "data": {"id": batch.id},
    }
    return msgspec.json.encode(event)


async def _try_again(components: BatchComponents, message: Notify) -> None:
    """Send the message of the next attempt, also if this one was delivered twice: only one of them may."""
    claim = f"webhook#{message.event_id}#{message.attempt}"
    if await components.table.claim_once(claim, _SAME_ATTEMPT_SECONDS):
        delay_seconds = RETRY_SECONDS[min(message.attempt, len(RETRY_SECONDS)) - 1]
        await components.queue.send(replace(message, attempt=message.attempt + 1), delay_seconds)
