"""Errors of a provider that speaks the client's dialect, in shapes that its clients could not read."""

from typing import Any

import pytest

from tests.native_providers import ANTHROPIC
from tests.world import USER, answers, world

GOOGLES = {"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}
UNREADABLE: list[Any] = [
    {"error": {}},
    {"error": {"message": 7}},
    {"error": {"message": ""}},
    {"error": "No."},
    {"type": "error", "error": {"type": "x"}},
    [],
    "No.",
]


@pytest.mark.parametrize("body", [*UNREADABLE, GOOGLES, {"type": "error", "error": {"type": 7, "message": "No."}}])
@pytest.mark.parametrize(
    ("status", "own", "kind"), [(400, 400, "invalid_request_error"), (529, 529, "overloaded_error")]
)
async def test_an_error_that_is_not_anthropics_gets_its_envelope(body: Any, status: int, own: int, kind: str) -> None:
    call = {"model": ANTHROPIC.id, "max_tokens": 5, "messages": USER, "num_retries": 0}
    async with world(answers(body, status), **ANTHROPIC.env) as client:
        reply = await client.post(call, "/v1/messages")
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (own, "error", kind)
    assert reply.json["error"]["message"] and reply.json["request_id"]
    assert reply.json["error"]["message"] == "No." or "No." not in str(body)


@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize(("status", "own"), [(400, 400), (529, 503)])
async def test_an_error_that_is_not_openais_gets_its_envelope(body: Any, status: int, own: int) -> None:
    async with world(answers(body, status)) as client:
        reply = await client.post({"model": "openai/gpt-5", "input": "Hi", "num_retries": 0}, "/v1/responses")
    assert (reply.status, reply.json["error"].keys()) == (own, {"message", "type", "param", "code"})
    assert reply.json["error"]["message"] and reply.json["error"]["code"]
