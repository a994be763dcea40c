"""Ollama's chat, over HTTP, in front of other providers."""

import json
from typing import Any

import httpx
import pytest

from tests.world import completion, world

PATH = "/api/chat"
BODY: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": "Hi"}]}


def lines(reply: Any) -> list[Any]:
    return [json.loads(line) for line in reply.body.decode().splitlines()]


def event(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def call(name: str, arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def streaming(*events: str) -> Any:
    usage = f"data: {json.dumps({'choices': [], 'usage': {'prompt_tokens': 5, 'completion_tokens': 2}})}\n\n"
    text = "".join(events) + usage + "data: [DONE]\n\n"

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)

    return answer


async def test_a_whole_reply_has_ollamas_form() -> None:
    async with world(completion("Tide.")) as client:
        reply = await client.post({**BODY, "stream": False}, PATH)
    read = reply.json
    assert (reply.status, read["model"], read["message"]) == (
        200,
        "openai/gpt-4.1-mini",
        {"role": "assistant", "content": "Tide."},
    )
    assert (read["done"], read["done_reason"]) == (True, "stop")
    assert read["prompt_eval_count"] > 0 and read["eval_count"] > 0 and read["created_at"].endswith("Z")


async def test_a_request_streams_by_default_in_lines() -> None:
    provider = streaming(event({"role": "assistant", "content": "Ti"}), event({"content": "de."}), event({}, "length"))
    async with world(provider) as client:
        reply = await client.post(BODY, PATH)
    *texts, end = lines(reply)
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert "".join(text["message"]["content"] for text in texts) == "Tide."
    assert not any(text["done"] for text in texts)
    assert (end["done"], end["done_reason"], end["prompt_eval_count"], end["eval_count"]) == (True, "length", 5, 2)


async def test_a_tool_call_of_a_stream_is_sent_when_it_is_complete() -> None:
    first, second = call("weather", '{"city"'), call("", ': "Paris"}')
    provider = streaming(event({"tool_calls": [first]}), event({"tool_calls": [second]}), event({}, "tool_calls"))
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    async with world(provider) as client:
        reply = await client.post({**BODY, "tools": tools}, PATH)
    called, end = lines(reply)
    assert called["message"]["tool_calls"] == [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}]
    assert end["done"]


async def test_options_images_tools_and_formats_become_those_of_chat() -> None:
    body = {
        **BODY,
        "stream": False,
        "messages": [
            {"role": "user", "content": "Look", "images": ["iVBORw0KGgo="]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "f", "content": "5"},
        ],
        "options": {"temperature": 0.5, "num_predict": 9, "num_ctx": 4096},
        "format": {"type": "object"},
        "keep_alive": "5m",
    }
    async with world(completion("{}")) as client:
        reply = await client.post(body, PATH)
    sent = json.loads(client.requests[0].content)
    user, assistant, tool = sent["messages"]
    assert user["content"][1]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert tool["tool_call_id"] == assistant["tool_calls"][0]["id"]
    assert (sent["temperature"], sent.get("max_tokens", sent.get("max_completion_tokens"))) == (0.5, 9)
    assert sent["response_format"]["type"] == "json_schema"
    assert reply.headers["x-tidegate-ignored-params"] == "options.num_ctx,keep_alive"


@pytest.mark.parametrize(
    "fields",
    [
        *({"messages": None}, {"messages": []}, {"messages": [5]}, {"model": None}),
        *({"options": "x"}, {"format": "yaml"}, {"format": 7}, {"think": 5}),
    ],
)
async def test_an_error_has_ollamas_form(fields: dict[str, Any]) -> None:
    async with world() as client:
        refused = await client.post({**BODY, **fields}, PATH)
    assert (refused.status, list(refused.json)) == (400, ["error"])
    assert isinstance(refused.json["error"], str)


async def test_an_error_in_a_stream_is_its_last_line() -> None:
    text = event({"content": "Ti"})
    async with world(lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)) as client:
        *_, last = lines(await client.post(BODY, PATH))
    assert list(last) == ["error"]


async def test_the_list_of_models_has_ollamas_form() -> None:
    async with world() as client:
        models = (await client.get("/api/tags")).json["models"]
    names = {model["name"] for model in models}
    assert "openai/gpt-4.1-mini" in names and "openai/text-embedding-3-small" not in names
    assert {"name", "model", "modified_at", "size", "digest", "details"} <= models[0].keys()


async def test_of_several_answers_the_first_is_streamed() -> None:
    second = event({"content": "Sand."}).replace('"index": 0', '"index": 1')
    async with world(streaming(event({"content": "Tide."}), second, event({}, "stop"))) as client:
        reply = await client.post(BODY, PATH)
    assert "".join(line["message"]["content"] for line in lines(reply)) == "Tide."


async def test_a_refusal_stands_in_the_place_of_the_answer() -> None:
    async with world(streaming(event({"refusal": "I "}), event({"refusal": "cannot."}), event({}, "stop"))) as client:
        streamed = await client.post(BODY, PATH)
    async with world(completion("", refusal="I cannot.")) as client:
        whole = await client.post({**BODY, "stream": False}, PATH)
    assert "".join(line["message"]["content"] for line in lines(streamed)) == "I cannot."
    assert whole.json["message"]["content"] == "I cannot."
