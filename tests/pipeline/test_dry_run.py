"""`dry_run`: the wire of it. What it says is tested in tests/path/test_rehearsing.py."""

from typing import Any

import pytest

from tests.world import USER, Client
from tidegate.domain.ids import min_ulid
from tidegate.local.openapi import openapi_document

CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/chat/completions", {}),
        ("/api/ds-prototypes/chat/completions", {"x-workspace-id": "ws_test"}),
    ],
)
async def test_a_dry_run_answers_with_json_and_does_nothing(
    client: Client, path: str, headers: dict[str, str], stream: bool
) -> None:
    reply = await client.post({**CALL, "dry_run": True, "stream": stream}, path, headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json["object"] == "tidegate.dry_run"
    assert reply.json["id"] == reply.headers["x-request-id"] > min_ulid(0)
    assert reply.json["plan"][0]["request"]["body"].get("stream", False) is stream
    assert "dry_run" not in reply.json["plan"][0]["request"]["body"]
    [outcome] = client.recorder.outcomes
    assert (client.requests, outcome.status, outcome.bill.tokens.input, outcome.bill.cost_usd) == ([], "dry_run", 0, 0)


async def test_the_reply_has_the_fields_that_the_document_says(client: Client) -> None:
    schemas: Any = openapi_document()["components"]
    dry_run = schemas["schemas"]["DryRun"]
    reply = (await client.post({**CALL, "dry_run": True})).json
    assert set(reply) == set(dry_run["properties"])
    assert set(reply["plan"][0]) == set(dry_run["properties"]["plan"]["items"]["properties"])
    assert set(reply["estimate"]) == set(dry_run["properties"]["estimate"]["properties"])


@pytest.mark.parametrize("value", [False, None])
async def test_without_it_the_call_is_made_and_the_provider_does_not_hear_of_it(client: Client, value: Any) -> None:
    assert (await client.post({**CALL, "dry_run": value})).json["object"] == "chat.completion"
    assert b"dry_run" not in client.requests[0].content
    assert len(client.recorder.outcomes) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"dry_run": "yes"}, "dry_run"),
        ({"dry_run": 1}, "dry_run"),
        ({"dry_run": True, "fallbacks": [CALL["model"]]}, "fallbacks[0]"),
        ({"dry_run": True, "fallbacks": [{"model": "openai/gpt-4.1", "dry_run": False}]}, "fallbacks[0].dry_run"),
        ({"dry_run": True, "temperature": 9}, "temperature"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_as_always(client: Client, fields: dict[str, Any], param: str) -> None:
    reply = await client.post({**CALL, **fields})
    assert (reply.status, reply.json["error"]["param"]) == (400, param)
    assert client.requests == []
    assert {outcome.status for outcome in client.recorder.outcomes} <= {"failed"}


async def test_a_stranger_learns_nothing(client: Client) -> None:
    reply = await client.post({**CALL, "dry_run": True}, headers={"authorization": "Bearer not-a-key"})
    assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")
