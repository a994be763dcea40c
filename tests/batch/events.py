"""What the tests of events in share: a reply queue, and dropped objects."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.batch.world import NOON, BatchWorld
from tests.world import WORKSPACE
from tidegate.batch.dropped_objects import StoredObject


@dataclass
class RecordedReplies:
    """The port Replies, with the queues `answers` and `others`."""

    sent: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list[tuple[str, Any, dict[str, str]]])

    def find_queue(self, reply_to: str | None) -> str | None:
        return {None: "answers", "answers": "answers", "others": "others"}.get(reply_to)

    async def send(self, queue: str, body: bytes, attributes: Mapping[str, str]) -> None:
        self.sent.append((queue, json.loads(body), dict(attributes)))


async def drop(world: BatchWorld, data: bytes, name: str = "a.jsonl", *, workspace_id: str = WORKSPACE.id) -> str:
    """Store an object under in/, and return its key."""
    key = f"workspaces/{workspace_id}/in/{name}"
    await world.components.objects.put(key, data)
    return key


def event_of(
    key: str, *, version: str = "etag-1", size: int | None = None, id: str = "event-1", at: float = NOON
) -> Any:
    return StoredObject(bucket="batches", key=key, version=version, size=size, event_id=id, at=at)


async def stored_objects(world: BatchWorld, prefix: str = "workspaces/") -> dict[str, bytes | None]:
    objects = world.components.objects
    return {key: await objects.read(key) for key in await objects.list_keys(prefix)}
