"""Anthropic's SDKs and the AI SDK with its provider, in front of providers in Anthropic's dialect and in OpenAI's."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.clients.actor import DOT, SIGNATURE, Actor, Turn, serving_actor
from tests.clients.programs import MODULES, printed
from tests.clients.world import DEMO_KEY

pytestmark = pytest.mark.slow

ANTHROPIC, REASONER = "anthropic/claude-sonnet-4-5", "deepseek/deepseek-reasoner"
MODELS = pytest.mark.parametrize("model", [ANTHROPIC, REASONER])
TOOLS: Any = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}
IMAGE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
CALL = ("get_weather", {"city": "Paris"})


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, str]]:
    with serving_actor("deepseek") as (actor, _, url):
        yield actor, url


@pytest.fixture
def actor(gateway: tuple[Actor, str]) -> Actor:
    return gateway[0]


@pytest.fixture
def client(gateway: tuple[Actor, str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway[1], api_key=DEMO_KEY, max_retries=0) as opened:
        yield opened


def user(content: Any) -> Any:
    return [{"role": "user", "content": content}]


@MODELS
def test_python_reads_a_reply(client: anthropic.Anthropic, actor: Actor, model: str) -> None:
    actor.plays(Turn("Hello."))
    raw = client.messages.with_raw_response.create(model=model, max_tokens=50, tools=TOOLS, messages=user("Hi"))
    message = raw.parse()
    assert (message.content[0].type, message.stop_reason, message.model) == ("text", "end_turn", model)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (100, 20)
    assert raw.headers["request-id"] == message._request_id


@MODELS
def test_python_streams_thinking_and_tools_with_images_over_two_turns(
    client: anthropic.Anthropic, actor: Actor, model: str
) -> None:
    actor.plays(Turn("I look.", "Which city?", (CALL,)), Turn("21 degrees.", "Now I know."))
    options: Any = {"model": model, "max_tokens": 4000, "thinking": THINKING, "tools": TOOLS}
    with client.messages.stream(**options, messages=user([{"type": "text", "text": "Weather?"}, IMAGE])) as stream:
        first = stream.get_final_message()
    assert [block.type for block in first.content] == ["thinking", "text", "tool_use"]
    call: Any = first.content[-1]
    assert (call.input, first.stop_reason) == ({"city": "Paris"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "21"}, IMAGE]}
    turns: Any = [*user("Weather?"), {"role": "assistant", "content": first.content}, *user([result])]
    second = client.messages.create(**options, messages=turns)
    assert [block.type for block in second.content] == ["thinking", "text"]
    sent = actor.requests[-1][2]["messages"]
    if model == ANTHROPIC:
        assert sent[1]["content"][0] == {"type": "thinking", "thinking": "Which city?", "signature": SIGNATURE}
    else:
        assert sent[1]["reasoning_content"] == "Which city?"
        assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "user"]
    assert "iVBORw0KGgo=" in json.dumps(sent)


@MODELS
def test_python_sees_a_cut_stream_as_an_error(client: anthropic.Anthropic, actor: Actor, model: str) -> None:
    actor.plays(Turn("The tide", cut=True))
    with pytest.raises(anthropic.APIStatusError) as caught:
        with client.messages.stream(model=model, max_tokens=50, tools=TOOLS, messages=user("x")) as stream:
            stream.get_final_message()
    assert "ended before the reply was complete" in str(caught.value)


def test_python_sees_errors_as_its_own_classes(client: anthropic.Anthropic, actor: Actor) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nobody/nothing", max_tokens=5, messages=user("x"))
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="sk-wrong").messages.create(model=ANTHROPIC, max_tokens=5, messages=user("x"))
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    actor.plays(*[Turn(status=529, error=error)] * 3)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=ANTHROPIC, max_tokens=5, tools=TOOLS, messages=user("x"))
    assert (caught.value.status_code, caught.value.body) == (529, error)


def test_python_counts_and_lists(client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model=ANTHROPIC, messages=user("Hi")).input_tokens == 1234
    assert client.messages.count_tokens(model=REASONER, messages=user("Hi")).input_tokens > 0
    listed = [model.id for model in client.models.list(limit=7)]
    assert ANTHROPIC in listed and len(listed) > 7
    assert client.models.retrieve(ANTHROPIC).display_name


@MODELS
def test_typescript_does_all_of_it(gateway: tuple[Actor, str], model: str) -> None:
    if not (MODULES / "@anthropic-ai/sdk/package.json").exists():
        pytest.skip("@anthropic-ai/sdk is not installed: run `npm ci` in tests/clients")
    actor, url = gateway
    actor.plays(Turn("I look.", "Which city?", (CALL,)), Turn("21 degrees."))
    seen = printed("anthropic.mjs", url, DEMO_KEY, model)
    assert seen["plain"] == {"text": "A title", "model": model, "request": True, "usage": 20}
    assert seen["stream"] == {
        "types": ["thinking", "text", "tool_use"],
        "input": {"city": "Paris"},
        "stop": "tool_use",
        "starts": "message_start",
        "ends": "message_stop",
    }
    assert (seen["second"], seen["models"], seen["count"] > 0) == (["21 degrees."], True, True)
    assert seen["failed"] == {"name": "NotFoundError", "status": 404, "type": "not_found_error"}


@MODELS
def test_the_ai_sdk_runs_tools_over_turns(gateway: tuple[Actor, str], model: str) -> None:
    if not (MODULES / "@ai-sdk/anthropic/package.json").exists():
        pytest.skip("@ai-sdk/anthropic is not installed: run `npm ci` in tests/clients")
    actor, url = gateway
    calls = Turn("", "Which city?", (CALL, ("get_weather", {"city": "Tokyo"})))
    again = Turn("One more.", "And Rome?", (("get_weather", {"city": "Rome"}),))
    turns = [turn for answer in ("Warm.", "Warm again.") for turn in (calls, again, Turn(answer))]
    actor.plays(*turns, Turn('{"degrees": 21}'), Turn("The tide comes in", cut=True))
    assert printed("ai_anthropic.mjs", f"{url}/v1", DEMO_KEY, model, DOT) == {
        "whole": ["Warm.", 3, "Which city?", 360],
        "streamed": ["One more.Warm again.", "Which city?And Rome?", 3, "stop"],
        "typed": {"degrees": 21},
        "cut": True,
        "failed": [404, "not_found_error"],
    }
    for _, _, body in (actor.requests[2], actor.requests[5]):
        sent = json.dumps(body["messages"])
        assert [sent.count(f"21 degrees in {city}") for city in ("Paris", "Tokyo", "Rome")] == [1, 1, 1]
        assert (sent.count("Which city?"), sent.count("And Rome?")) == (1, 1)
        assert sent.count(SIGNATURE) == (2 if model == ANTHROPIC else 0)
    assert DOT in json.dumps(actor.requests[0][2]["messages"])
