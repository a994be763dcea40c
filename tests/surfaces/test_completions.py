"""Legacy text completions, over HTTP: chat in OpenAI's older form."""

import json
from typing import Any

import httpx
import pytest

from tests.world import completion, world

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "prompt": "Say tide."}


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **fields}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


STREAM = (
    chunk({"role": "assistant", "content": ""})
    + chunk({"reasoning_content": "hm"})
    + chunk({"content": "Ti"})
    + chunk({"content": "de."})
    + chunk({}, "stop")
    + f"data: {json.dumps({'choices': [], 'usage': {'prompt_tokens': 5, 'completion_tokens': 2}})}\n\n"
    + "data: [DONE]\n\n"
)


def streamed(_: Any) -> Any:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=STREAM)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/completions",
        "/completions",
        "/openai/v1/completions",
        "/openai/deployments/openai/gpt-4.1-mini/completions",
        "/api/v1/completions",
    ],
)
async def test_a_prompt_is_a_message_of_the_user(path: str) -> None:
    async with world(completion("Tide.")) as client:
        reply = await client.post(BODY, path)
    assert reply.status == 200
    assert (reply.json["object"], reply.json["model"], reply.json["id"][:5]) == (
        "text_completion",
        "openai/gpt-4.1-mini",
        "cmpl-",
    )
    assert reply.json["choices"] == [{"text": "Tide.", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert reply.json["usage"]["completion_tokens"] > 0
    sent = json.loads(client.requests[0].content)
    assert sent["messages"] == [{"role": "user", "content": "Say tide."}]
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 16
    assert client.recorder.outcomes[0].call.surface.name == "completions"


async def test_other_fields_go_on_and_the_callers_limit_counts() -> None:
    body = {
        **BODY,
        "prompt": ["Say tide."],
        "max_tokens": 99,
        "temperature": 0.5,
        "stop": ["x"],
        "best_of": 1,
        "user": "u",
    }
    async with world(completion("Tide.")) as client:
        assert (await client.post(body, PATH)).status == 200
    sent = json.loads(client.requests[0].content)
    assert {name: sent[name] for name in ("temperature", "stop")} == {"temperature": 0.5, "stop": ["x"]}
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 99
    assert not {"prompt", "best_of", "suffix", "echo"} & sent.keys()


@pytest.mark.parametrize(("echo", "first"), [(False, "Ti"), (True, "Say tide.Ti")])
async def test_a_stream_has_texts_alone_and_ends_with_usage_and_done(echo: bool, first: str) -> None:
    async with world(streamed) as client:
        body = {**BODY, "stream": True, "stream_options": {"include_usage": True}, "echo": echo}
        events = (await client.post(body, PATH)).events
    *texts, usage, done = events
    choices = [choice for event in texts for choice in event["choices"]]
    assert "".join(choice["text"] for choice in choices) == f"{first}de."
    assert [choice["finish_reason"] for choice in choices][-1] == "stop"
    assert {event["object"] for event in events[:-1]} == {"text_completion"}
    assert all(choice["text"] or choice["finish_reason"] for choice in choices)
    assert (usage["choices"], usage["usage"]["completion_tokens"], done) == ([], 2, "[DONE]")


async def test_an_echo_stands_before_the_text() -> None:
    async with world(completion("Tide.")) as client:
        reply = await client.post({**BODY, "echo": True}, PATH)
    assert reply.json["choices"][0]["text"] == "Say tide.Tide."


async def test_log_probabilities_have_the_older_form() -> None:
    answer: Any = completion("Tide.")
    top = [{"token": "Ti", "logprob": -0.1, "bytes": None}, {"token": "To", "logprob": -2.0, "bytes": None}]
    content: list[Any] = [
        {"token": "Ti", "logprob": -0.1, "bytes": None, "top_logprobs": top},
        {"token": "de.", "logprob": -0.2, "bytes": None, "top_logprobs": []},
    ]
    answer["choices"][0]["logprobs"] = {"content": content, "refusal": None}
    async with world(answer) as client:
        reply = await client.post({**BODY, "logprobs": 2, "echo": True}, PATH)
    assert reply.json["choices"][0]["logprobs"] == {
        "tokens": ["Ti", "de."],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"Ti": -0.1, "To": -2.0}, {}],
        "text_offset": [9, 11],
    }
    sent = json.loads(client.requests[0].content)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 21}, "logprobs"),
        ({"echo": 1}, "echo"),
        ({"temperature": 9}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": None}, "model"),
    ],
)
async def test_what_chat_cannot_honour_is_refused_with_its_name(fields: dict[str, Any], param: str) -> None:
    async with world() as client:
        refused = await client.post({**BODY, **fields}, PATH)
    assert (refused.status, refused.json["error"]["param"], client.requests) == (400, param, [])


async def test_a_guardrail_names_the_prompt() -> None:
    async with world() as client:
        body = {**BODY, "prompt": "AKIA" + "IOSFODNN7EXAMPLE", "guardrails": ["secrets"]}
        refused = await client.post(body, PATH)
    assert (refused.status, refused.json["error"]["param"]) == (400, "prompt")


async def test_equal_calls_share_a_reply_also_as_a_stream() -> None:
    async with world(completion("Tide.")) as client:
        replies = [await client.post({**BODY, "caching": True, "stream": stream}, PATH) for stream in (False, True)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]
    assert "".join(choice["text"] for event in replies[1].events[:-1] for choice in event["choices"]) == "Tide."


async def test_a_refusal_stands_in_the_place_of_the_text() -> None:
    text = chunk({"refusal": "I "}) + chunk({"refusal": "cannot."}) + chunk({}, "stop") + "data: [DONE]\n\n"
    headers = {"content-type": "text/event-stream"}
    async with world(lambda _: httpx.Response(200, headers=headers, text=text)) as client:
        streamed = await client.post({**BODY, "stream": True}, "/v1/completions")
    async with world(completion("", refusal="I cannot.")) as client:
        whole = await client.post(BODY, "/v1/completions")
    pieces = [event["choices"][0]["text"] for event in streamed.events if event != "[DONE]" and event["choices"]]
    assert ("".join(pieces), whole.json["choices"][0]["text"]) == ("I cannot.", "I cannot.")
