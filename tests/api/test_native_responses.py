"""The Responses API in front of a provider that has it: what goes through untouched, and what is the gateway's own."""

import json
from typing import Any

import httpx
import pytest

from tests.world import Client, Reply, world
from tidegate.domain.limits import Limits

PATH, MODEL = "/v1/responses", "openai/gpt-5"
HELLO: Any = {"role": "user", "content": "Hello"}
ENCRYPTED = "reasoning.encrypted_content"
MESSAGE: Any = {
    "id": "msg_theirs1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi!", "annotations": None}],
}
REASONING: Any = {"id": "rs_theirs1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
USAGE: Any = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 34,
}


def response(status: str = "completed", *output: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_theirs",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-5-2025-08-07",
        "output": list(output),
        "previous_response_id": None,
        "store": False,
        "usage": USAGE if status == "completed" else None,
        "brand_new": {"kept": True},
        **fields,
    }


def events() -> list[tuple[str, str]]:
    """A stream with an unknown event, odd spaces and an order of fields that no encoder of ours would write."""
    delta = (
        '{"type": "response.output_text.delta", "delta": "Hi!",  "item_id": "msg_theirs1", "obfuscation": "x\\u00e9",'
    )
    told: list[Any] = [
        {"type": "response.created", "sequence_number": 0, "response": response("in_progress")},
        '{"sequence_number": 1, "type":"response.brand_new.delta" , "data":[1,  2.50]}',
        {"type": "response.output_item.added", "output_index": 0, "item": REASONING, "sequence_number": 2},
        {"type": "response.output_item.done", "output_index": 0, "item": REASONING, "sequence_number": 3},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {**MESSAGE, "content": []},
            "sequence_number": 4,
        },
        f'{delta} "output_index": 1, "content_index": 0, "logprobs": [], "sequence_number": 5}}',
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE, "sequence_number": 6},
        {"type": "response.completed", "sequence_number": 7, "response": response("completed", REASONING, MESSAGE)},
    ]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in told]
    return [(json.loads(text)["type"], text) for text in texts]


def stream_of(listed: list[tuple[str, str]]) -> bytes:
    return "".join(f"event: {kind}\ndata: {text}\n\n" for kind, text in listed).encode()


def provider(request: httpx.Request) -> httpx.Response:
    if json.loads(request.content).get("stream"):
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream_of(events()))
    return httpx.Response(200, json=response("completed", REASONING, MESSAGE))


def any_api(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/responses"):
        return provider(request)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    return httpx.Response(200, json={"object": "chat.completion", "choices": [choice]})


async def ask(client: Client, **fields: Any) -> Reply:
    return await client.post({"model": MODEL, "input": [HELLO], **fields}, PATH)


def sent(client: Client, index: int = -1) -> Any:
    request = client.requests[index]
    assert request.url.path == "/v1/responses"
    return json.loads(request.content)


async def test_a_stream_goes_through_byte_by_byte_but_for_its_id() -> None:
    async with world(provider) as client:
        reply = await ask(client, stream=True, store=False)
        blocks = [block for block in reply.body.decode().split("\n\n") if block]
        own_id = json.loads(blocks[0].split("data: ")[1])["response"]["id"]
        assert own_id.startswith("resp_") and own_id != "resp_theirs"
        for block, (kind, text) in zip(blocks, events(), strict=True):
            name, data = block.removeprefix("event: ").split("\ndata: ")
            assert name == kind
            if "response" in json.loads(text):
                expected = json.loads(text)
                expected["response"]["id"] = own_id
                assert json.loads(data) == expected
            else:
                assert data == text
        outcome = client.recorder.outcomes[0]
        tokens = outcome.bill.tokens
        assert (tokens.input, tokens.cached, tokens.output, tokens.reasoning) == (30, 10, 4, 2)
        assert (outcome.status, outcome.finish_reason) == ("ok", "stop")


async def test_a_whole_reply_goes_through_with_what_nobody_knows() -> None:
    async with world(provider) as client:
        reply = await ask(client, store=False, unheard_of={"a": [1]})
        assert reply.json == response("completed", REASONING, MESSAGE, id=reply.json["id"])
        assert sent(client) == {"model": "gpt-5", "input": [HELLO], "store": False, "unheard_of": {"a": [1]}}
        assert client.recorder.outcomes[0].bill.tokens.output == 4


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_stored_goes_on_with_the_providers_own_items(stream: bool) -> None:
    async with world(provider) as client:
        reply = await ask(client, stream=stream)
        first = reply.json if not stream else json.loads(reply.body.decode().split("data: ")[-1])["response"]
        assert (first["store"], sent(client)["store"], sent(client)["include"]) == (True, False, [ENCRYPTED])
        assert (await client.get(f"{PATH}/{first['id']}")).json == first
        second = (await ask(client, input="More", previous_response_id=first["id"])).json
        assert second["previous_response_id"] == first["id"]
        more = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "More"}]}
        items = sent(client)["input"]
        assert [item for item in items if item.get("role") != "user"] == [REASONING, MESSAGE]
        assert items[-1] == more
        assert "previous_response_id" not in sent(client)


async def test_items_of_the_provider_can_be_referred_to() -> None:
    async with world(provider) as client:
        await ask(client)
        references = [{"type": "item_reference", "id": each["id"]} for each in (REASONING, MESSAGE)]
        await ask(client, input=[HELLO, *references, HELLO])
        assert sent(client)["input"] == [HELLO, REASONING, MESSAGE, HELLO]


async def test_a_conversation_moves_on_to_a_provider_without_the_api() -> None:
    completion: Any = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Salut"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }

    def both(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=completion) if "mistral" in request.url.host else provider(request)

    async with world(both) as client:
        first = (await ask(client)).json
        second = (await ask(client, model="mistral/mistral-small-latest", previous_response_id=first["id"])).json
        sent_messages = json.loads(client.requests[-1].content)["messages"]
        assert [each["role"] for each in sent_messages] == ["user", "assistant", "user"]
        await ask(client, previous_response_id=second["id"])
        texts = [item["content"][0]["text"] for item in sent(client)["input"] if item.get("role") == "assistant"]
        assert texts == ["Hi!", "Salut"]
        assert [item["type"] for item in sent(client)["input"] if item.get("type") == "reasoning"] == ["reasoning"]


async def test_a_summary_of_the_gateways_is_a_message_to_the_provider() -> None:
    async with world(any_api) as client:
        compacted = (await client.post({"model": MODEL, "input": "What?"}, f"{PATH}/compact")).json
        await ask(client, input=[*compacted["output"], HELLO])
        kinds = [item.get("type", "message") for item in sent(client)["input"]]
        assert kinds == ["message"] * 3
        assert sent(client)["input"][1]["content"].startswith("Summary of the conversation")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Encrypted content could not be verified.", "type": "x", "code": "bad_blob"}}),
        (429, {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}),
    ],
)
async def test_the_providers_errors_go_through(status: int, body: Any) -> None:
    async with world(lambda _: httpx.Response(status, json=body)) as client:
        reply = await ask(client, stream=True)
        assert (reply.status, reply.json) == (status, body)


async def test_an_error_about_the_gateways_key_is_the_gateways() -> None:
    body = {"error": {"message": "Incorrect API key provided: provider-secret-1", "code": "invalid_api_key"}}
    async with world(lambda _: httpx.Response(401, json=body)) as client:
        reply = await ask(client)
        assert (reply.status, reply.json["error"]["code"]) == (502, "provider_auth_error")
        assert b"provider-secret" not in reply.body


async def test_a_failure_inside_a_stream_ends_it_as_failed() -> None:
    failed = response("failed", error={"code": "server_error", "message": "Oops"})
    listed = [*events()[:6], ("response.failed", json.dumps({"type": "response.failed", "response": failed}))]
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream_of(listed))
    async with world(lambda _: answer) as client:
        reply = await ask(client, stream=True)
        told = [
            json.loads(block.split("data: ")[1]) for block in reply.body.decode().split("\n\n") if "data: " in block
        ]
        assert told[-1]["type"] == "response.failed"
        assert told[-1]["response"]["id"] == told[0]["response"]["id"] != "resp_theirs"
        assert client.recorder.outcomes[0].status == "failed"


async def test_a_cut_stream_is_stored_with_the_items_that_are_complete() -> None:
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream_of(events()[:6]))
    async with world(lambda _: answer) as client:
        reply = await ask(client, stream=True)
        first = json.loads(reply.body.decode().split("data: ")[1].split("\n\n")[0])["response"]
        stored = (await client.get(f"{PATH}/{first['id']}")).json
        assert (stored["status"], stored["output"]) == ("incomplete", [REASONING])


async def test_the_limits_of_a_workspace_shorten_the_answer() -> None:
    async with world(provider, limits=Limits(tokens_per_day=9_000)) as client:
        reply = await ask(client, model="openai/gpt-4.1")
        assert reply.status == 200, reply.json
        assert 0 < sent(client)["max_output_tokens"] < 9_000


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "image_generation"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"service_tier": "priority", "model": "openai/gpt-4-turbo"},
    ],
)
async def test_what_costs_more_than_is_held_or_belongs_to_the_account_is_not_sent(fields: Any) -> None:
    async with world(any_api) as client:
        reply = await ask(client, **fields)
        assert reply.status == 200, reply.json
        body = json.loads(client.requests[-1].content)
        assert "service_tier" not in body and not body.get("tools")
        assert reply.headers["x-tidegate-ignored-params"]


async def test_a_file_of_the_gateways_account_is_refused() -> None:
    async with world(provider) as client:
        reply = await ask(client, input=[{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}])
        assert (reply.status, client.requests) == (400, [])


@pytest.mark.parametrize("item", [{"type": "compaction_trigger"}, {"type": "mcp_approval_response", "approve": True}])
async def test_items_that_only_openai_reads_reach_it_alone(item: Any) -> None:
    async with world(any_api) as client:
        assert (await ask(client, input=[item])).status == 200
        assert sent(client)["input"] == [item]
        refused = await ask(client, model="mistral/mistral-small-latest", input=[item])
        assert (refused.status, refused.json["error"]["param"].partition("[")[0]) == (400, "input")
        assert len(client.requests) == 1


async def test_a_summary_within_a_response_is_openais_own_or_the_gateways() -> None:
    """Codex asks for one so if its provider is named OpenAI."""
    trigger, other = {"type": "compaction_trigger"}, "mistral/mistral-small-latest"
    async with world(any_api) as client:
        assert (await ask(client, input=[HELLO, trigger])).status == 200
        assert sent(client)["input"] == [HELLO, trigger]
        (item,) = (await ask(client, model=other, input=[HELLO, trigger])).json["output"]
        assert item["type"] == "compaction"
        for model, messages in ((MODEL, "input"), (other, "messages")):
            await ask(client, model=model, input=[item, HELLO])
            summary, last = json.loads(client.requests[-1].content)[messages]
            assert (summary["content"].partition("\n")[0], last) == ("Summary of the conversation so far:", HELLO)


async def test_conversations_behind_two_summaries_of_openais_do_not_share_a_reply() -> None:
    async with world(any_api) as client:
        replies = [
            await ask(client, input=[{"type": "compaction", "encrypted_content": sealed}, HELLO], caching=True)
            for sealed in ("gAAAA", "gBBBB", "gAAAA")
        ]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "miss", "hit"]
