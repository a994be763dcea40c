"""Single requests and references in messages: answered once, or refused with the reason."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.events import RecordedReplies, stored_objects
from tests.batch.world import MODEL, NOON, PATH, BatchWorld, Provider, batch_world, jsonl, requests
from tests.world import WORKSPACE, completion
from tidegate.batch.intake import MAX_REPLY_BYTES, MAX_TRIES, Envelope, parse_content, take_message
from tidegate.batch.messages import Sweep, Validate
from tidegate.batch.ports import Page, TryLater
from tidegate.domain.limits import Limits

MESSAGE = {
    "workspace_id": WORKSPACE.id,
    "custom_id": "one",
    "url": PATH,
    "body": {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello."}]},
}
ENVELOPE = Envelope("059f36b4-87a3-44ab-83d2-661975830a7d", at=NOON)
REFERENCE = ENVELOPE.id.replace("-", "")


@asynccontextmanager
async def answering(
    provider: Provider | None = None, **options: Any
) -> AsyncIterator[tuple[BatchWorld, RecordedReplies]]:
    async with batch_world(provider, **options) as world:
        replies = RecordedReplies()
        world.components = replace(world.components, replies=replies)
        yield world, replies


async def take(world: BatchWorld, content: Any, envelope: Envelope = ENVELOPE) -> None:
    await take_message(world.components, envelope, content, world.clock() + 60)


async def test_a_request_is_answered_on_the_reply_queue() -> None:
    async with answering() as (world, replies):
        envelope = replace(ENVELOPE, correlation=(("correlation_id", "c-7"),))
        await take(world, MESSAGE, envelope)
        [(queue, answer, attributes)] = replies.sent
        assert queue == "answers"
        assert attributes == {
            "message_id": ENVELOPE.id,
            "correlation_id": "c-7",
            "custom_id": "one",
            "workspace_id": WORKSPACE.id,
            "status": "completed",
        }
        assert answer["response"]["body"]["choices"][0]["message"]["content"] == "Re: Hello."
        [record] = await world.records()
        assert answer == {
            "id": f"batch_req_{REFERENCE}0000000",
            "custom_id": "one",
            "response": {"status_code": 200, "request_id": record["id"], "body": answer["response"]["body"]},
            "error": None,
        }
        assert (record["status"], world.held()) == ("ok", [])


async def test_a_message_that_comes_twice_is_answered_twice_and_charged_once() -> None:
    async with answering() as (world, replies):
        for _ in range(3):
            await take(world, MESSAGE)
        await take(world, MESSAGE, replace(ENVELOPE, id="another"))
        assert len(world.provider.prompts) == 2
        first, second, third, other = [answer["response"]["body"] for _, answer, _ in replies.sent]
        assert first == second == third != other


async def test_while_a_message_is_at_work_its_other_delivery_waits() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(prompt: str) -> httpx.Response:
        asked.set()
        await gate.wait()
        return httpx.Response(200, json=completion(prompt))

    async with answering(Provider(lambda prompt, _: slow(prompt))) as (world, replies):
        world.clock.begin = time.time()  # as the store of claims has it
        first = asyncio.create_task(take(world, MESSAGE))
        await asked.wait()
        with pytest.raises(TryLater) as later:
            await take(world, MESSAGE, replace(ENVELOPE, attempt=9))
        assert later.value.seconds == 120
        gate.set()
        await first
        assert (len(world.provider.prompts), len(replies.sent)) == (1, 1)


@pytest.mark.parametrize(("reply_to", "queue"), [("others", "others"), ("answers", "answers"), (None, "answers")])
async def test_a_message_may_choose_among_the_operators_queues(reply_to: str | None, queue: str) -> None:
    async with answering() as (world, replies):
        await take(world, {**MESSAGE, "reply_to": reply_to})
        assert [sent[0] for sent in replies.sent] == [queue]


BODY = MESSAGE["body"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "invalid_json_line"),
        ([MESSAGE], "invalid_json_line"),
        ({}, "missing_required_parameter"),
        ({**MESSAGE, "workspace_id": 5}, "invalid_type"),
        ({**MESSAGE, "workspace_id": "ws_unknown"}, "workspace_forbidden"),
        ({**MESSAGE, "reply_to": "https://sqs.example/theirs"}, "invalid_value"),
        ({**MESSAGE, "reply_to": 5}, "invalid_type"),
        ({**MESSAGE, "url": "/v1/unknown"}, "invalid_url"),
        ({**MESSAGE, "url": None}, "invalid_url"),
        ({**MESSAGE, "method": "GET"}, "invalid_value"),
        ({**MESSAGE, "custom_id": ""}, "empty_string"),
        ({**MESSAGE, "custom_id": 5}, "invalid_type"),
        ({**MESSAGE, "custom_id": "a" * 513}, "string_above_max_length"),
        ({**MESSAGE, "body": None}, "missing_required_parameter"),
        ({**MESSAGE, "body": "text"}, "invalid_type"),
        ({**MESSAGE, "body": {**BODY, "stream": True}}, "streaming_unsupported"),
        ({**MESSAGE, "body": {**BODY, "user": "\ud800"}}, "invalid_json_line"),
        ({**MESSAGE, "custom_id": "a\ud800"}, "invalid_json_line"),
        ({**MESSAGE, "workspace_id": "\ud800"}, "workspace_forbidden"),
        ({"workspace_id": WORKSPACE.id, "object": "a", "metadata": {"\ud800": 1}}, "invalid_type"),
        ({**MESSAGE, "body": {**BODY, "user": "a" * 1_100_000}}, "request_too_large"),
        ({"workspace_id": WORKSPACE.id, "object": "files/ws_test/file-1"}, "not_found"),
        ({"workspace_id": WORKSPACE.id, "object": "workspaces/ws_other/held/a.jsonl"}, "not_found"),
        ({"workspace_id": WORKSPACE.id, "object": "workspaces/ws_test/held/none.jsonl"}, "not_found"),
        ({"workspace_id": WORKSPACE.id, "object": "workspaces/ws_test/held/empty.jsonl"}, "empty_file"),
        ({"workspace_id": WORKSPACE.id, "object": "workspaces/ws_test/in/a.jsonl"}, "invalid_request"),
        ({"workspace_id": WORKSPACE.id, "object": 5}, "invalid_type"),
        ({"workspace_id": WORKSPACE.id, "object": "a", "metadata": {"a": 1}}, "invalid_type"),
        ({"workspace_id": WORKSPACE.id, "object": "a", "completion_window": "1m"}, "invalid_value"),
    ],
)
async def test_what_is_not_acceptable_is_answered_with_the_reason(
    content: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with answering() as (world, replies):
        await world.components.objects.put("workspaces/ws_test/held/empty.jsonl", b"")
        await take(world, content)
        [(queue, answer, attributes)] = replies.sent
        assert (queue, attributes["status"], attributes["message_id"]) == ("answers", "failed", ENVELOPE.id)
        assert (answer["response"], answer["error"]["code"]) == (None, code)
        assert (world.provider.prompts, world.queue.sent) == ([], [])
    assert "Hello." not in caplog.text + str([record.__dict__ for record in caplog.records])


async def test_a_suspended_workspace_is_refused() -> None:
    async with answering() as (world, replies):
        await world.memory.tenants.set_workspace_status(WORKSPACE.id, "suspended")
        await take(world, MESSAGE)
        assert [answer["error"]["code"] for _, answer, _ in replies.sent] == ["workspace_forbidden"]


async def test_a_call_that_fails_is_answered_with_the_error() -> None:
    async with answering() as (world, replies):
        await take(world, {**MESSAGE, "body": {**BODY, "model": "openai/unknown-model", "temperature": "hot"}})
        [(_, answer, attributes)] = replies.sent
        assert (answer["response"]["status_code"], attributes["status"]) == (400, "failed")
        assert answer["response"]["body"]["error"]["param"] == "temperature"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_failure_brings_the_message_back_later_but_not_for_ever(status: int) -> None:
    fails = Provider(lambda prompt, _: httpx.Response(status, json={"error": {"message": "busy"}}))
    async with answering(fails) as (world, replies):
        waits: list[float] = []
        for attempt in range(1, MAX_TRIES):
            with pytest.raises(TryLater) as later:
                await take(world, MESSAGE, replace(ENVELOPE, attempt=attempt))
            waits.append(later.value.seconds)
        assert (waits, replies.sent) == ([15, 45, 135], [])
        await take(world, MESSAGE, replace(ENVELOPE, attempt=MAX_TRIES))
        [(_, answer, _)] = replies.sent
        assert answer["response"]["status_code"] in (429, 502, 503)
        assert world.held() == []


async def test_an_exhausted_budget_is_an_answer() -> None:
    async with answering(limits=Limits(tokens_per_day=1)) as (world, replies):
        await take(world, MESSAGE)
        assert [answer["response"]["status_code"] for _, answer, _ in replies.sent] == [429]
        assert world.provider.prompts == []


async def test_a_dry_run_asks_nobody() -> None:
    async with answering() as (world, replies):
        await take(world, {**MESSAGE, "body": {**BODY, "dry_run": True}})
        assert [answer["response"]["status_code"] for _, answer, _ in replies.sent] == [200]
        assert world.provider.prompts == []


async def test_an_answer_that_no_queue_takes_is_stored() -> None:
    long = "x" * MAX_REPLY_BYTES
    async with answering(Provider(lambda prompt, _: httpx.Response(200, json=completion(long)))) as (world, replies):
        await take(world, {**MESSAGE, "custom_id": "odd\n"})
        [(_, answer, attributes)] = replies.sent
        key = f"workspaces/{WORKSPACE.id}/out/messages/{REFERENCE}.jsonl"
        assert answer == {"custom_id": "odd\n", "object": key}
        assert "custom_id" not in attributes
        line = json.loads((await stored_objects(world))[key] or b"")
        assert line["response"]["body"]["choices"][0]["message"]["content"] == long


async def test_without_a_reply_queue_answers_and_reasons_are_stored() -> None:
    async with batch_world() as world:
        await take(world, MESSAGE)
        await take(world, {**MESSAGE, "url": "/v1/other"}, replace(ENVELOPE, id="../two"))
        await take(world, {**MESSAGE, "workspace_id": "ws_unknown"}, replace(ENVELOPE, id="three"))
        found = await stored_objects(world)
        out, refused = (
            f"workspaces/{WORKSPACE.id}/out/messages/{REFERENCE}.jsonl",
            f"workspaces/{WORKSPACE.id}/rejected/messages/two.reason.json",
        )
        assert sorted(found) == [out, refused]
        assert json.loads(found[out] or b"")["custom_id"] == "one"
        assert json.loads(found[refused] or b"")["errors"][0]["code"] == "invalid_url"


async def test_a_reference_becomes_a_batch_with_what_the_message_chooses() -> None:
    key = f"workspaces/{WORKSPACE.id}/held/january.jsonl"
    async with answering() as (world, replies):
        await world.components.objects.put(key, jsonl(requests(2)))
        chosen = {"completion_window": "2d", "metadata": {"month": "1"}}
        for _ in range(2):
            await take(world, {"workspace_id": WORKSPACE.id, "object": key, **chosen})
        [batch] = await world.components.table.list_batches(WORKSPACE.id, Page(10))
        assert (batch.source, batch.input_key, batch.metadata, batch.endpoint) == ("message", key, {"month": "1"}, PATH)
        assert (batch.completion_window, batch.expires_at - batch.created_at) == ("2d", 2 * 86_400)
        assert batch.output_prefix == f"workspaces/{WORKSPACE.id}/out/held/january.jsonl/"
        assert set(world.queue.sent) == {Validate(WORKSPACE.id, batch.id), Sweep()}
        await take(world, {"workspace_id": WORKSPACE.id, "object": key}, replace(ENVELOPE, id="two"))
        assert len(await world.components.table.list_batches(WORKSPACE.id, Page(10))) == 2
        assert replies.sent == []


def test_content_that_is_not_json_is_none() -> None:
    found = [parse_content(text) for text in ('{"a": 1}', "{", "", "\ud800", "[" * 100_000)]
    assert found == [{"a": 1}, None, None, None, None]
