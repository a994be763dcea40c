"""State of the Responses API over HTTP: going on from what is stored, reading it, deleting it, and what is refused."""

import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import KEY, WORKSPACE, Client, Exchange, Reply, completion, world
from tidegate.surfaces.late_dialects import RESPONSE_PREFIXES

MISTRAL = "mistral/mistral-small-latest"
PATH = "/v1/responses"


async def ask(client: Client, text: Any = "Hello", path: str = PATH, **fields: Any) -> Reply:
    return await client.post({"model": MISTRAL, "input": text, **fields}, path)


async def asked(client: Client, text: Any = "Hello", **fields: Any) -> Any:
    reply = await ask(client, text, **fields)
    assert reply.status == 200, reply.json
    return reply.json


def messages(client: Client, index: int = -1) -> Any:
    return [(each["role"], each["content"]) for each in json.loads(client.requests[index].content)["messages"]]


def answer(content: str) -> dict[str, Any]:
    body = completion()
    body["choices"][0]["message"] = {"role": "assistant", "content": content}
    return body


async def test_a_response_goes_on_from_another_with_all_that_came_before() -> None:
    async with world(answer("Hi!")) as client:
        first = await asked(client, "One", instructions="Be brief.")
        second = await asked(client, [{"role": "user", "content": "Two"}], previous_response_id=first["id"])
        third = await asked(client, "Three", previous_response_id=second["id"], instructions="Be long.")
        assert messages(client) == [
            ("system", "Be long."),
            *(("user", "One"), ("assistant", "Hi!")),
            *(("user", "Two"), ("assistant", "Hi!")),
            ("user", "Three"),
        ]
        assert (first["store"], first["previous_response_id"]) == (True, None)
        assert third["previous_response_id"] == second["id"]


async def test_a_conversation_may_branch_and_a_deleted_response_breaks_no_other() -> None:
    async with world(answer("Hi!")) as client:
        first = await asked(client, "One")
        second = await asked(client, "Two", previous_response_id=first["id"])
        deleted = await client.post(b"", f"{PATH}/{first['id']}", method="DELETE")
        assert deleted.json == {"id": first["id"], "object": "response", "deleted": True}
        assert (await ask(client, "Three", previous_response_id=first["id"])).status == 400
        await asked(client, "Four", previous_response_id=second["id"])
        assert [text for role, text in messages(client) if role == "user"] == ["One", "Two", "Four"]


async def test_tools_results_and_other_models_go_on_from_a_stored_call() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}
    body = completion()
    body["choices"][0] = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
    }
    tools: Any = [{"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}}]
    async with world(body) as client:
        first = await asked(client, "Use it", tools=tools)
        result = [{"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "42"}]
        reply = await ask(client, result, previous_response_id=first["id"], tools=tools, model="demo/echo")
        assert reply.status in (200, 404), reply.json
        await asked(client, result, previous_response_id=first["id"], tools=tools)
        sent = json.loads(client.requests[-1].content)["messages"]
        assert [each["role"] for each in sent] == ["user", "assistant", "tool"]
        assert sent[-1]["content"] == "42"


async def test_what_is_stored_can_be_read_with_the_items_that_led_to_it() -> None:
    async with world(answer("Hi!")) as client:
        first = await asked(client, "One", metadata={"a": "b"})
        second = await asked(client, "Two", previous_response_id=first["id"])
        for prefix in RESPONSE_PREFIXES:
            assert (await client.get(f"{prefix}/responses/{second['id']}")).json == second
        items = (await client.get(f"{PATH}/{second['id']}/input_items?order=asc")).json
        texts = [(item["role"], item["content"][0]["text"]) for item in items["data"]]
        assert texts == [("user", "One"), ("assistant", "Hi!"), ("user", "Two")]
        assert (items["object"], items["has_more"], items["first_id"]) == ("list", False, items["data"][0]["id"])
        page = (await client.get(f"{PATH}/{second['id']}/input_items?limit=2")).json
        assert [item["id"] for item in page["data"]] == [item["id"] for item in items["data"]][:0:-1]
        assert (page["has_more"], page["last_id"]) == (True, page["data"][-1]["id"])
        rest = (await client.get(f"{PATH}/{second['id']}/input_items?limit=2&after={page['last_id']}")).json
        assert ([item["id"] for item in rest["data"]], rest["has_more"]) == ([items["first_id"]], False)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up", "after=msg_no"])
async def test_a_page_that_does_not_exist_is_refused_by_name(query: str) -> None:
    async with world() as client:
        first = await asked(client)
        reply = await client.get(f"{PATH}/{first['id']}/input_items?{query}")
        assert (reply.status, reply.json["error"]["param"]) == (400, query.partition("=")[0])


async def test_references_stand_for_the_items_of_any_stored_response() -> None:
    async with world(answer("Hi!")) as client:
        first = await asked(client, "One")
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        await asked(client, [{"role": "user", "content": "One"}, reference, {"role": "user", "content": "Two"}])
        expected = [("user", "One"), ("assistant", "Hi!"), ("user", "Two")]
        assert messages(client) == expected
        await asked(
            client, [{"role": "user", "content": "One"}, {"id": reference["id"]}, {"role": "user", "content": "Two"}]
        )
        assert messages(client) == expected


async def test_an_item_that_is_not_stored_is_not_found_in_openais_words() -> None:
    async with world() as client:
        unstored = await asked(client, store=False)
        for item_id in (unstored["output"][0]["id"], "msg_0123456789"):
            reply = await ask(client, [{"type": "item_reference", "id": item_id}])
            assert (reply.status, reply.json["error"]["param"]) == (404, "input")
            assert reply.json["error"]["message"].startswith(f"Item with id '{item_id}' not found.")


async def test_store_false_stores_nothing() -> None:
    async with world() as client:
        first = await asked(client, store=False)
        assert first["store"] is False
        assert (await client.get(f"{PATH}/{first['id']}")).status == 404
        reply = await ask(client, "More", previous_response_id=first["id"])
        assert (reply.status, reply.json["error"]) == (
            400,
            {
                "message": f"Previous response with id '{first['id']}' not found.",
                "type": "invalid_request_error",
                "param": "previous_response_id",
                "code": "previous_response_not_found",
            },
        )
        assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ],
)
async def test_a_gateway_that_keeps_nothing_refuses_by_name_what_refers_to_it(fields: Any, param: str) -> None:
    async with world(TIDEGATE_RESPONSE_STATE="off") as client:
        first = await asked(client, store=True)
        assert first["store"] is False
        reply = await client.post({"model": MISTRAL, "input": "Hello", **fields}, PATH)
        assert (reply.status, reply.json["error"]["param"]) == (400, param)
        for method in ("GET", "DELETE"):
            assert (await client.post(b"", f"{PATH}/{first['id']}", method=method)).status == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
    ],
)
async def test_what_is_not_here_is_refused_by_name(fields: Any, param: str) -> None:
    async with world() as client:
        reply = await ask(client, **fields)
        assert (reply.status, reply.json["error"]["param"]) == (404 if param == "conversation" else 400, param)
        assert client.requests == []


async def test_a_stored_response_is_neither_streamed_again_nor_cancelled() -> None:
    async with world() as client:
        first = await asked(client)
        for query in ("stream=true", "starting_after=3"):
            reply = await client.get(f"{PATH}/{first['id']}?{query}")
            assert (reply.status, reply.json["error"]["param"]) == (400, query.partition("=")[0])
        assert (await client.get(f"{PATH}/{first['id']}?stream=false")).status == 200
        cancelled = await client.post({}, f"{PATH}/{first['id']}/cancel")
        assert (cancelled.status, cancelled.json["error"]["message"]) == (400, "Cannot cancel a synchronous response.")
        assert (await client.post({}, f"{PATH}/resp_1/cancel")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/resp_1", 404),
        ("DELETE", "/resp_1", 404),
        ("GET", "/resp_1/input_items", 404),
        ("POST", "/resp_1", 404),
        ("POST", "/resp_1/input_items", 404),
        ("DELETE", "/resp_1/input_items", 405),
        ("GET", "/resp_1/cancel", 405),
        ("GET", "/resp_1/unknown", 404),
        ("GET", "/resp_1/cancel/x", 404),
    ],
)
async def test_unknown_ids_paths_and_methods_are_openais_errors(method: str, path: str, status: int) -> None:
    async with world() as client:
        reply = await client.post(b"", f"{PATH}{path}", method=method)
        assert (reply.status, reply.json["error"]["type"]) == (status, "invalid_request_error")


async def test_another_workspace_finds_nothing() -> None:
    key = replace(KEY, workspace_ids=(WORKSPACE.id, "ws_other"), default_workspace_id=WORKSPACE.id)
    async with world(key=key) as client:
        first, headers = await asked(client), {"x-workspace-id": "ws_other"}
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
            assert (await client.post(b"", f"{PATH}/{first['id']}{path}", headers, method=method)).status == 404
        body = {"model": MISTRAL, "input": "More", "previous_response_id": first["id"]}
        reply = await client.post(body, PATH, headers)
        assert (reply.status, reply.json["error"]["code"]) == (400, "previous_response_not_found")
        item = {"type": "item_reference", "id": first["output"][0]["id"]}
        assert (await client.post({"model": MISTRAL, "input": [item]}, PATH, headers)).status == 404
        assert (await client.get(f"{PATH}/{first['id']}")).status == 200


async def test_without_a_key_nothing_is_shown() -> None:
    async with world() as client:
        first = await asked(client)
        assert (await client.get(f"{PATH}/{first['id']}", authorization="")).status == 401


async def test_a_reply_from_the_cache_has_an_id_of_its_own_and_can_be_continued() -> None:
    async with world(answer("Hi!")) as client:
        first, second = [await asked(client, "One", caching=True) for _ in range(2)]
        assert len(client.requests) == 1
        assert first["id"] != second["id"]
        await asked(client, "Two", previous_response_id=second["id"])
        assert messages(client) == [("user", "One"), ("assistant", "Hi!"), ("user", "Two")]


async def test_a_reply_that_is_given_again_for_its_idempotency_key_stays_the_one_that_is_stored() -> None:
    async with world() as client:
        body = {"model": MISTRAL, "input": "One"}
        first, second = [(await client.post(body, PATH, {"idempotency-key": "k"})).json for _ in range(2)]
        assert first["id"] == second["id"]
        assert (await client.get(f"{PATH}/{first['id']}")).json == first


def streamed(*texts: str, ends: bool = True) -> httpx.Response:
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]} for text in texts]
    if ends:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + ("data: [DONE]\n\n" if ends else "")
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)


async def test_a_streamed_response_is_stored_as_its_end_told_it() -> None:
    async with world(lambda _: streamed("Hel", "lo")) as client:
        reply = await ask(client, stream=True)
        events = [
            json.loads(line.removeprefix("data: ")) for line in reply.body.decode().splitlines() if line[:5] == "data:"
        ]
        response = events[-1]["response"]
        assert events[-1]["type"] == "response.completed"
        assert (await client.get(f"{PATH}/{response['id']}")).json == response


async def test_a_response_that_broke_off_is_stored_as_incomplete_and_can_be_continued() -> None:
    async with world(lambda _: streamed("Hel", ends=False)) as client:
        reply = await ask(client, stream=True)
        events = [
            json.loads(line.removeprefix("data: ")) for line in reply.body.decode().splitlines() if line[:5] == "data:"
        ]
        response_id = events[0]["response"]["id"]
        stored = (await client.get(f"{PATH}/{response_id}")).json
        assert (stored["status"], stored["output"][0]["content"][0]["text"]) == ("incomplete", "Hel")
        await ask(client, "Go on", previous_response_id=response_id)
        assert messages(client)[1] == ("assistant", "Hel")


async def test_a_client_that_leaves_finds_what_it_has_got() -> None:
    async with world(lambda _: streamed("Hel", "lo")) as client:
        exchange = Exchange(client.app, {"model": MISTRAL, "input": "One", "stream": True}, PATH)
        exchange.refused_at = b"output_text.done"
        await exchange.run()
        response_id = exchange.body.split(b'"id":"')[1].split(b'"')[0].decode()
        stored = (await client.get(f"{PATH}/{response_id}")).json
        assert stored["status"] in ("incomplete", "completed")
        assert stored["output"][0]["content"][0]["text"] == "Hello"


async def test_a_failed_response_is_not_stored() -> None:
    async with world(lambda _: httpx.Response(500, json={"error": {"message": "down"}})) as client:
        reply = await ask(client)
        call_id = reply.headers["x-request-id"]
        assert reply.status >= 500
        assert (await client.get(f"{PATH}/resp_{call_id}")).status == 404


async def test_a_conversation_collects_the_items_of_its_responses() -> None:
    async with world(answer("Hi!")) as client:
        body = {"metadata": {"a": "b"}, "items": [{"type": "message", "role": "user", "content": "Zero"}]}
        conversation = (await client.post(body, "/v1/conversations")).json
        assert (conversation["object"], conversation["metadata"]) == ("conversation", {"a": "b"})
        name = conversation["id"]
        first = await asked(client, "One", conversation=name)
        assert first["conversation"] == {"id": name}
        await asked(client, "Two", conversation={"id": name})
        expected = [("user", "Zero"), ("user", "One"), ("assistant", "Hi!"), ("user", "Two")]
        assert messages(client) == expected
        items = (await client.get(f"/v1/conversations/{name}/items?order=asc")).json["data"]
        texts = [(item["role"], item["content"][0]["text"]) for item in items]
        assert texts == [*expected, ("assistant", "Hi!")]
        assert (await client.get(f"/v1/conversations/{name}/items/{items[0]['id']}")).json == items[0]
        await client.post(b"", f"/v1/conversations/{name}/items/{items[0]['id']}", method="DELETE")
        await client.post({"items": [{"role": "user", "content": "More"}]}, f"/v1/conversations/{name}/items")
        await asked(client, "Three", conversation=name)
        assert [text for role, text in messages(client) if role == "user"] == ["One", "Two", "More", "Three"]
        changed = await client.post({"metadata": {"c": "d"}}, f"/v1/conversations/{name}")
        assert changed.json == {**conversation, "metadata": {"c": "d"}}
        assert (await client.get(f"/v1/conversations/{name}")).json == changed.json
        assert (await client.post(b"", f"/v1/conversations/{name}", method="DELETE")).json["deleted"] is True
        assert (await ask(client, "Four", conversation=name)).status == 404
        assert (await client.get(f"/v1/conversations/{name}")).status == 404


@pytest.mark.parametrize(
    "body", [{"items": {}}, {"items": ["x"]}, {"items": [{"role": "user", "content": "x"}] * 21}, {"metadata": "x"}]
)
async def test_a_malformed_conversation_is_refused_by_name(body: Any) -> None:
    async with world() as client:
        reply = await client.post(body, "/v1/conversations")
        assert (reply.status, reply.json["error"]["param"]) == (400, next(iter(body)))


async def test_a_compacted_conversation_goes_on_with_its_summary_at_any_provider() -> None:
    async with world(answer("They agreed on blue.")) as client:
        first = await asked(client, "Which colour?")
        body = {"model": MISTRAL, "input": "And now?", "previous_response_id": first["id"]}
        compacted = (await client.post(body, f"{PATH}/compact")).json
        assert (compacted["object"], compacted["usage"]["total_tokens"] > 0) == ("response.compaction", True)
        assert [item["type"] for item in compacted["output"]] == ["message", "message", "compaction"]
        assert messages(client)[:-1] == [
            *(("user", "Which colour?"), ("assistant", "They agreed on blue.")),
            ("user", "And now?"),
        ]
        await asked(client, [*compacted["output"], {"role": "user", "content": "Go on."}])
        texts = [text for _, text in messages(client)]
        assert texts == [
            *("Which colour?", "And now?"),
            "Summary of the conversation so far:\n\nThey agreed on blue.",
            "Go on.",
        ]
        assert (await client.get(f"{PATH}/{compacted['id']}")).status == 404


async def test_the_tokens_of_a_conversation_are_counted_with_what_came_before() -> None:
    async with world(answer("Hi!")) as client:
        first = await asked(client, "One " * 500)
        short, long = [
            (await client.post({"model": MISTRAL, "input": "Two", **fields}, f"{PATH}/input_tokens")).json
            for fields in ({}, {"previous_response_id": first["id"]})
        ]
        assert (short["object"], long["input_tokens"] > short["input_tokens"] + 400) == ("response.input_tokens", True)
        assert len(client.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_has_the_response_before_its_caller_has_its_end(stream: bool) -> None:
    def provider(_: httpx.Request) -> httpx.Response:
        return streamed("Hi!") if stream else httpx.Response(200, json=answer("Hi!"))

    async with world(provider) as client:
        name = (await client.post({}, "/v1/conversations")).json["id"]
        stored: list[int] = []

        class Watched(Exchange):
            async def _send(self, message: Any) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    items = (await client.get(f"/v1/conversations/{name}/items")).json["data"]
                    stored.append(len(items))
                await super()._send(message)

        body = {"model": MISTRAL, "input": "One", "conversation": name, "stream": stream}
        await Watched(client.app, body, PATH).run()
        assert stored == [2]
