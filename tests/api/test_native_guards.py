"""Guardrails and the cache hold for requests in their caller's own dialect, and for the count of their tokens."""

import base64
import json
import zlib
from typing import Any

import pytest

from tests.native_providers import ANTHROPIC
from tests.world import world
from tidegate.chat.operation import CHAT
from tidegate.chat.request import ChatRequest
from tidegate.surfaces import sealed_details
from tidegate.surfaces.late_dialects import MESSAGES

ADDRESS = "jane@example.com"
CALL: dict[str, Any] = {"model": ANTHROPIC.id, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
HIDDEN = {"type": "text", "text": f"x-anthropic-billing-header: {ADDRESS}"}


@pytest.mark.parametrize("name", ["personal-data-mask", "personal-data"])
async def test_a_text_that_only_the_body_as_sent_has_reaches_nobody(name: str) -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        await client.post({**CALL, "system": [HIDDEN], "guardrails": [name]}, "/v1/messages")
    assert all(ADDRESS not in request.content.decode() for request in client.requests)


@pytest.mark.parametrize(("name", "status"), [("personal-data-mask", 200), ("personal-data", 400)])
async def test_the_count_of_tokens_sends_nothing_that_a_call_would_not(name: str, status: int) -> None:
    turns = [{"role": "user", "content": f"Write to {ADDRESS}."}]
    body = {"model": ANTHROPIC.id, "messages": turns, "guardrails": [name]}
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        counted = await client.post(body, "/v1/messages/count_tokens")
    assert counted.status == status
    assert all(ADDRESS not in request.content.decode() for request in client.requests)


async def test_requests_that_differ_in_what_the_translation_loses_do_not_share_a_reply() -> None:
    def asked(data: str) -> dict[str, Any]:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        source = {"type": "content", "content": [{"type": "text", "text": "same"}, image]}
        content = [{"type": "document", "source": source}]
        return {**CALL, "messages": [{"role": "user", "content": content}], "caching": True}

    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        statuses = [
            (await client.post(asked(data), "/v1/messages")).headers["x-tidegate-cache"]
            for data in ("AAAA", "BBBB", "AAAA")
        ]
    assert (statuses, len(client.requests)) == (["miss", "miss", "hit"], 2)


async def test_headers_that_name_an_account_do_not_go_on() -> None:
    headers = {"anthropic-user-profile-id": "p", "anthropic-workspace-id": "w", "anthropic-beta": "b-2030"}
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        await client.post(CALL, "/v1/messages", headers)
    (request,) = client.requests
    assert request.headers["anthropic-beta"] == "b-2030"
    assert not {"anthropic-user-profile-id", "anthropic-workspace-id"} & set(request.headers)


def test_a_signature_of_ours_cannot_be_a_bomb() -> None:
    details = json.dumps([{"type": "reasoning.text", "text": "a" * 4_000_000}]).encode()
    bomb = sealed_details.PREFIX + base64.urlsafe_b64encode(zlib.compress(details, 9)).decode()
    assert sealed_details.unpack(bomb) is None
    thinking = {"type": "thinking", "thinking": "x", "signature": bomb}
    turns = [*CALL["messages"], {"role": "assistant", "content": [thinking]}, *CALL["messages"]]
    request = MESSAGES.parse(CHAT, json.dumps({**CALL, "messages": turns}).encode())
    assert isinstance(request, ChatRequest) and len(json.dumps(request.body)) < 10_000


@pytest.mark.parametrize(
    "fields", [{"output_config": {"effort": "gigantic"}}, {"thinking": {"type": "new_in_2030"}}], ids=str
)
async def test_a_value_of_a_newer_client_goes_on_to_its_own_provider(fields: dict[str, Any]) -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        reply = await client.post({**CALL, **fields}, "/v1/messages")
    assert reply.status == 200
    (request,) = client.requests
    assert fields.items() <= json.loads(request.content).items()
