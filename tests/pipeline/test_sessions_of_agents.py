"""Sessions of agents: they stay at the account that has encrypted their reasoning, and are on the record."""

import json
from typing import Any

import httpx
import pytest

from tests.world import Client, world

HELLO: Any = {"role": "user", "content": "Hello"}
TARGETS: Any = [{"model": "openai/gpt-5"}, {"model": "openai/gpt-5", "key": "SECOND_OPENAI_API_KEY"}]


def route(by: str) -> str:
    return json.dumps([{"name": "codex", "by": by, "targets": TARGETS}])


def account(request: httpx.Request) -> httpx.Response:
    """An account that can read its own reasoning alone."""
    own = request.headers["authorization"]
    items = json.loads(request.content)["input"]
    sealed = [item["encrypted_content"] for item in items if item.get("type") == "reasoning"]
    if any(each != own for each in sealed):
        error = {"message": "The encrypted content could not be verified.", "code": "invalid_encrypted_content"}
        return httpx.Response(400, json={"error": error})
    output: Any = [
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": own},
        {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    ]
    body: Any = {"id": "resp_1", "object": "response", "status": "completed", "output": output, "store": False}
    return httpx.Response(200, json=body)


async def turn(client: Client, items: list[Any], headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"model": "codex", "input": items, **fields}
    reply = await client.post(body, "/v1/responses", headers)
    assert reply.status == 200, reply.json
    return reply.json


@pytest.mark.parametrize("named", ["cache key", "header", "nothing", "stored"])
async def test_a_session_with_encrypted_reasoning_stays_at_its_account(named: str) -> None:
    async with world(account, TIDEGATE_ROUTES=route("weight"), SECOND_OPENAI_API_KEY="provider-secret-3") as client:
        for number in range(12):
            opening = {"role": "user", "content": f"Task {number}" if named in ("nothing", "stored") else "Task"}
            fields = {"prompt_cache_key": f"session {number}"} if named == "cache key" else {}
            headers = {"session-id": f"session {number}"} if named == "header" else {}
            items: list[Any] = [opening]
            previous: str | None = None
            for _ in range(3):
                if named == "stored":
                    sent = items if previous is None else [HELLO]
                    previous = (await turn(client, sent, previous_response_id=previous))["id"]
                else:
                    items += [*(await turn(client, items, headers, store=False, **fields))["output"], HELLO]
        assert len({request.headers["authorization"] for request in client.requests}) == 2


async def test_a_session_stays_where_it_is_though_another_account_is_faster() -> None:
    async with world(account, TIDEGATE_ROUTES=route("latency"), SECOND_OPENAI_API_KEY="provider-secret-3") as client:
        for number in range(6):
            items: list[Any] = [{"role": "user", "content": f"Task {number}"}]
            for _ in range(3):
                items += [*(await turn(client, items, store=False))["output"], HELLO]
        keys = [request.headers["authorization"] for request in client.requests]
        assert len(keys) == 18 and all(len({*keys[n : n + 3]}) == 1 for n in range(0, 18, 3))


@pytest.mark.parametrize("is_stored", [False, True])
async def test_reasoning_that_no_account_can_read_is_left_out_and_named(is_stored: bool) -> None:
    """The first account fails in the middle of a session, and comes back: each has encrypted a part of it."""
    down: set[str] = set()

    def accounts(request: httpx.Request) -> httpx.Response:
        is_down = request.headers["authorization"] in down
        return httpx.Response(503, json={"error": {"message": "Down"}}) if is_down else account(request)

    async with world(accounts, TIDEGATE_ROUTES=route("order"), SECOND_OPENAI_API_KEY="provider-secret-3") as client:
        items: list[Any] = [HELLO]
        previous: str | None = None
        for number in range(3):
            sent = items if not is_stored or previous is None else [HELLO]
            reply = await turn(client, sent, store=is_stored, previous_response_id=previous)
            items, previous = [*items, *reply["output"], HELLO], reply["id"] if is_stored else None
            if number < 2:
                first = client.requests[0].headers["authorization"]
                down = {first} if number == 0 else set()
        assert [item.get("type") for item in json.loads(client.requests[-1].content)["input"]].count("reasoning") == 0
        body = {"model": "codex", "input": items, "store": False}
        bare = await client.post(body, "/v1/responses")
        named = [f"input[{n}]" for n, item in enumerate(items) if item.get("type") == "reasoning"]
        assert bare.headers["x-tidegate-ignored-params"].split(",") == named


async def test_reasoning_that_the_only_account_cannot_read_is_left_out_and_named() -> None:
    answer: Any = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    foreign: Any = {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "another account's"}
    body: Any = {"model": "openai/gpt-5", "input": [HELLO, foreign, answer, HELLO], "store": False}
    async with world(account) as client:
        for _ in range(2):  # with a plan that is made, and with one that is there already
            reply = await client.post(body, "/v1/responses")
            assert (reply.status, reply.headers.get("x-tidegate-ignored-params")) == (200, "input[1]"), reply.json
        inputs = [json.loads(request.content)["input"] for request in client.requests]
    assert inputs == [body["input"], [HELLO, answer, HELLO]] * 2


async def test_the_session_and_the_agent_of_codex_are_on_the_record() -> None:
    async with world(account, TIDEGATE_ROUTES=route("weight"), SECOND_OPENAI_API_KEY="provider-secret-3") as client:
        await turn(client, [HELLO], {"session-id": "s-1", "x-openai-subagent": "review"})
        await turn(client, [HELLO], prompt_cache_key="s-2")
        calls = [outcome.call for outcome in client.recorder.outcomes]
        assert [(call.session_id, call.agent_id) for call in calls] == [("s-1", "review"), ("s-2", None)]
