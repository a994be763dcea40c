"""Signed reasoning that a client did not send back belongs to the very turn, whatever the ids of its calls."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.world import Client, completion, delta, streams, world

KIMI = "moonshot/kimi-k2.5"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def called(call_id: str | None, arguments: str = '{"city":"Paris"}') -> dict[str, Any]:
    call: dict[str, Any] = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return call if call_id is None else {"id": call_id, **call}


def thinks_of_its_prompt(call_id: str | None) -> Callable[[httpx.Request], httpx.Response]:
    """A provider whose thought is of the last user's message, and which numbers its calls anew each time."""

    def answer(request: httpx.Request) -> httpx.Response:
        prompt = json.loads(request.content)["messages"][-1]["content"]
        thought = f"A thought of {prompt}"
        details = [{"type": "reasoning.text", "text": thought, "format": "unknown", "index": 0}]
        reply = completion("", tool_calls=[called(call_id)], reasoning_content=thought, reasoning_details=details)
        return httpx.Response(200, json=reply)

    return answer


def body(model: str, *messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages), "tools": TOOLS, **fields}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def replayed(message: Any) -> dict[str, Any]:
    """The message as OpenAI's SDKs send it back: without its reasoning."""
    return {name: message[name] for name in ("role", "content", "tool_calls")}


def sent(client: Client, index: int = -1) -> list[Any]:
    return json.loads(client.requests[index].content)["messages"]


async def test_two_conversations_with_equal_ids_keep_their_own_thoughts() -> None:
    async with world(thinks_of_its_prompt("functions.get_weather:0"), MOONSHOT_API_KEY="k") as client:
        messages: dict[str, Any] = {}
        for prompt in ("Alice's secret", "Bob's secret"):
            reply = await client.post(body(KIMI, user(prompt)))
            messages[prompt] = reply.json["choices"][0]["message"]
        for prompt, message in messages.items():
            result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}
            await client.post(body(KIMI, user(prompt), replayed(message), result))
            assert sent(client)[1]["reasoning_content"] == f"A thought of {prompt}"


async def test_a_thought_of_another_conversation_is_never_sent() -> None:
    async with world(thinks_of_its_prompt("functions.get_weather:0"), MOONSHOT_API_KEY="k") as client:
        reply = await client.post(body(KIMI, user("Alice's secret")))
        message = replayed(reply.json["choices"][0]["message"])
        await client.post(body(KIMI, user("Bob's question"), message))
        assert "secret" not in json.dumps(sent(client))


async def test_equal_turns_of_two_conversations_send_neither_thought() -> None:
    thoughts = iter(("ONE", "TWO", "-", "-"))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=completion("", tool_calls=[called("call_0")], reasoning_content=next(thoughts)))

    async with world(answer, MOONSHOT_API_KEY="k") as client:
        message: dict[str, Any] = {}
        for _ in range(2):
            message = replayed((await client.post(body(KIMI, user("Hello.")))).json["choices"][0]["message"])
        await client.post(body(KIMI, user("Hello."), message))
        assert json.dumps(sent(client)).count("ONE") + json.dumps(sent(client)).count("TWO") == 0


@pytest.mark.parametrize("is_stream", [False, True])
async def test_ids_that_come_again_in_one_conversation_have_each_their_thought(is_stream: bool) -> None:
    def answer(request: httpx.Request) -> Any:
        turn = len(json.loads(request.content)["messages"])
        if not is_stream:
            reply = completion("", tool_calls=[called("call_0")], reasoning_content=f"thought {turn}")
            return httpx.Response(200, json=reply)
        chunks: list[Any] = [delta(""), delta(), delta(finish="tool_calls"), "[DONE]"]
        chunks[0]["choices"][0]["delta"] = {"role": "assistant", "reasoning_content": f"thought {turn}"}
        chunks[1]["choices"][0]["delta"] = {"tool_calls": [{"index": 0, **called("call_0")}]}
        return streams(*chunks)(request)

    async with world(answer, MOONSHOT_API_KEY="k") as client:
        turn: list[Any] = [{"role": "assistant", "content": None, "tool_calls": [called("call_0")]}, user("Go on.")]
        messages: list[Any] = [user("Hello.")]
        for _ in range(3):
            await client.post(body(KIMI, *messages, stream=is_stream))
            messages += turn
        await client.post(body(KIMI, *messages, stream=is_stream))
        thoughts = [message.get("reasoning_content") for message in sent(client) if message["role"] == "assistant"]
        assert thoughts == ["thought 1", "thought 3", "thought 5"]


async def test_nothing_is_kept_or_sent_where_the_operator_switched_it_off() -> None:
    async with world(thinks_of_its_prompt("call_1"), MOONSHOT_API_KEY="k", TIDEGATE_KEEP_REASONING="false") as client:
        message = (await client.post(body(KIMI, user("Hello.")))).json["choices"][0]["message"]
        await client.post(body(KIMI, user("Hello."), replayed(message)))
        assert "A thought" not in json.dumps(sent(client))
        gateway = client.app.lifespan_state["gateway"]
        assert not vars(gateway.open_signatures())["_entries"]


async def test_calls_without_ids_get_one_that_no_other_conversation_has() -> None:
    thoughts = iter(("ONE", "TWO", "-", "-"))

    def answer(request: httpx.Request) -> httpx.Response:
        details = [{"type": "reasoning.text", "text": next(thoughts), "format": "anthropic-claude-v1", "index": 0}]
        return httpx.Response(200, json=completion("", tool_calls=[called(None)], reasoning_details=details))

    async with world(answer, OPENROUTER_API_KEY="k") as client:
        messages = []
        for _ in range(2):
            reply = await client.post(body("openrouter/x/m", user("Hello.")))
            messages.append(replayed(reply.json["choices"][0]["message"]))
        assert messages[0]["tool_calls"][0]["id"] != messages[1]["tool_calls"][0]["id"]
        for message, thought in zip(messages, ("ONE", "TWO"), strict=True):
            await client.post(body("openrouter/x/m", user("Hello."), message))
            assert [detail["text"] for detail in sent(client)[1]["reasoning_details"]] == [thought]
