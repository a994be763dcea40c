"""Calls whose head was sent before on their connection get the replies that they get on connections of their own."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from starlette.responses import Response

from tests.api.endpoint_calls import answer, valid_body
from tests.server.serving import Running, read_replies, running
from tests.world import SECRET, world
from tidegate.domain.server_options import ServerOptions
from tidegate.local.admin import PlaneRouter
from tidegate.local.host_check import HostCheck, allowed_hosts
from tidegate.server.request import RepeatedHead

CHAT = "/v1/chat/completions"
USUAL = {
    "host": "localhost",
    "authorization": f"Bearer {SECRET}",
    "content-type": "application/json",
    "x-workspace-id": "ws_test",
}
OTHERS: tuple[tuple[str, dict[str, str]], ...] = (
    *((CHAT, {name: value}) for name, value in (("host", "evil.example"), ("authorization", "Bearer nobody"))),
    *((CHAT, {name: ""}) for name in USUAL if name != "host"),
    *((CHAT, {"x-workspace-id": value}) for value in (" ws_test ", "ws_other", "a\u00e9")),
    *((CHAT, {"content-type": value}) for value in ("text/plain", "application/json; charset=utf-8")),
    *((CHAT, {"x-request-deadline": value}) for value in ("1", "soon", "99999999999")),
    *((CHAT, {"origin": value}) for value in ("https://app.example", "https://evil.example")),
    *((CHAT, {"traceparent": value}) for value in ("00-" + 32 * "a" + "-" + 16 * "b" + "-01", "wrong")),
    *((CHAT, {name: "one"}) for name in ("idempotency-key", "x-session-id", "x-app-id", "x-api-key")),
    ("/v1/messages", {}),
    ("/v1/messages/count_tokens", {}),
    ("/openai/deployments/openai/gpt-4.1-mini/chat/completions", {}),
    ("/v1/nothing", {}),
    ("/admin/v1/workspaces", {}),
)
ComparedReply = tuple[int, dict[bytes, bytes], str]


def request(path: str, changed: dict[str, str], number: int) -> bytes:
    """A call with a prompt of its own: the lengths of bodies differ. A header without a value is not sent."""
    body = {**valid_body("/v1/messages" if "messages" in path else CHAT), "user": "u" * (number % 7)}
    sent = body if number % 5 else {**body, "messages": []}
    text = json.dumps(sent).encode()
    lines = [f"{name}: {value}" for name, value in {**USUAL, **changed}.items() if value]
    head = "\r\n".join([f"POST {path} HTTP/1.1", *lines, f"content-length: {len(text)}"])
    return head.encode("latin-1") + b"\r\n\r\n" + text


def compared(reply: tuple[int, dict[bytes, bytes], bytes]) -> ComparedReply:
    """A reply without what differs in each: ids and times."""
    status, headers, body = reply
    own = (b"date", b"x-request-id", b"request-id", b"x-tidegate-overhead-ms", b"traceparent", b"content-length")
    kept = {name: value for name, value in headers.items() if name not in own}
    return status, kept, re.sub(r'"(id|request_id|created|trace_id)":("[^"]*"|\d+)', r'"\1":0', body.decode())


@asynccontextmanager
async def serving() -> AsyncIterator[Running]:
    """The gateway behind this machine's own server."""
    options = ServerOptions(cors_origins=("https://app.example",))
    async with world(answer, options=options) as client:
        app = PlaneRouter(client.app, Response(status_code=204))
        async with running(HostCheck(app, allowed_hosts("127.0.0.1"))) as server:
            server.server.state.lifespan.update(client.app.lifespan_state)
            yield server


async def replies_on_one_connection(requests: Sequence[bytes]) -> list[ComparedReply]:
    async with serving() as server:
        reader, writer = await server.open()
        replies: list[ComparedReply] = []
        for each in requests:
            writer.write(each)
            replies.append(compared((await read_replies(reader, (b"POST",)))[0]))
        writer.close()
    return replies


async def replies_on_many_connections(requests: Sequence[bytes]) -> list[ComparedReply]:
    async with serving() as server:
        return [compared((await server.replies(each, b"POST"))[0]) for each in requests]


async def test_calls_with_equal_heads_and_others_get_the_replies_of_single_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repeated, read = list[bool](), RepeatedHead.read

    def noted_read(head: RepeatedHead, data: bytes, state: dict[str, object]) -> Any:
        found = read(head, data, state)
        repeated.append(found is not None)
        return found

    monkeypatch.setattr(RepeatedHead, "read", noted_read)
    monkeypatch.setattr("tidegate.server.connection._MOST_HEADS_KEPT", 10_000)
    # Wrong keys are forgiven with time: else a slow run gets fewer replies of 429 than a quick one.
    monkeypatch.setattr("tidegate.policy.auth.throttle._SECONDS_PER_FAILURE", 1e9)
    calls = [(CHAT, {})]
    for other in OTHERS:
        calls += [other] * 4 + [(CHAT, {})] * 2
    calls += Random(1).choices([*OTHERS, (CHAT, {})], k=60)
    requests = [request(path, changed, number) for number, (path, changed) in enumerate(calls)]
    replies = await replies_on_one_connection(requests)
    assert repeated.count(True) > len(OTHERS)
    assert replies == await replies_on_many_connections(requests)
    assert {status for status, _, _ in replies} >= {200, 204, 400, 401, 403, 404, 415, 504}
