"""A gateway with a route of two deployments, and the hosts that answer for them."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx

from tests.world import KEY, STREAM, USER, WORKSPACE, Client, completion, event_stream, new_call, sse, world
from tidegate.domain.workspace import VirtualKey, Workspace

MODEL, OTHER = "openai/gpt-4.1-mini", "mistral/mistral-small-latest"
FIRST, SECOND = {"model": MODEL}, {"model": MODEL, "base_url": "https://second.test/v1"}
CALL = {"model": "fast", "messages": USER}
BUSY = (503, {"error": {"message": "busy"}})
DENIED = (401, {"error": {"message": "who?"}})
OK = (200, completion())


class Hosts:
    """What each host answers, one reply after the other and the last one again and again; and who was asked."""

    def __init__(self, **replies: Any) -> None:
        self.asked: list[str] = []
        self._replies = {name: list(reply) if isinstance(reply, list) else [reply] for name, reply in replies.items()}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        name = {"api.openai.com": "first", "api.mistral.ai": "mistral"}.get(request.url.host, "second")
        self.asked.append(name)
        replies = self._replies[name]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, httpx.Response):
            return reply
        if callable(reply):
            return await reply()
        status, body, *headers = reply
        if status == 200 and json.loads(request.content).get("stream"):
            return event_stream(sse(*STREAM))
        return httpx.Response(status, json=body, headers=dict(headers))


def routed(
    hosts: Hosts, *targets: Any, workspace: Workspace = WORKSPACE, key: VirtualKey = KEY, **route: Any
) -> AbstractAsyncContextManager[Client]:
    """A gateway with the route "fast"."""
    listed = json.dumps([{"name": "fast", "targets": targets or [FIRST, SECOND], **route}])
    return world(hosts, workspace=workspace, key=key, TIDEGATE_ROUTES=listed)


async def admit(gateway: Any, body: Any) -> Any:
    return await new_call(gateway, body)
