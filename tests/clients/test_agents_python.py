"""OpenAI's Agents SDK for Python, in front of providers that know chat completions or Anthropic's messages."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

from tests.clients.actor import SIGNATURE, Actor, Turn, serving_actor
from tests.clients.world import DEMO_KEY

pytestmark = pytest.mark.slow

ANTHROPIC, CHAT, REASONER = "anthropic/claude-sonnet-4-5", "mistral/mistral-large-2512", "deepseek/deepseek-reasoner"
models = pytest.mark.parametrize("model", [ANTHROPIC, CHAT, REASONER])
LOOKS = Turn("", "I look.", (("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Tokyo"})))
LOOKS_AGAIN = Turn("One more.", "And Rome?", (("get_weather", {"city": "Rome"}),))
SETTINGS = ModelSettings(
    store=False, reasoning=Reasoning(effort="low"), response_include=["reasoning.encrypted_content"]
)


class Forecast(BaseModel):
    degrees: int


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"21 degrees in {city}"


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, str]]:
    set_tracing_disabled(True)
    with serving_actor("mistral", "deepseek") as (actor, _, url):
        yield actor, f"{url}/v1"


@pytest.fixture
def actor(gateway: tuple[Actor, str]) -> Actor:
    return gateway[0]


@pytest.fixture
async def client(gateway: tuple[Actor, str]) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway[1], api_key=DEMO_KEY, max_retries=0, timeout=30) as client:
        yield client


def pilot(client: AsyncOpenAI, model: str, **fields: Any) -> Agent[None]:
    own: dict[str, Any] = {
        "model": OpenAIResponsesModel(model, client),
        "model_settings": SETTINGS,
        "tools": [get_weather],
    }
    return Agent(name="Pilot", instructions="Be brief.", **own | fields)


@models
async def test_tools_run_over_several_turns(client: AsyncOpenAI, actor: Actor, model: str) -> None:
    actor.plays(LOOKS, LOOKS_AGAIN, Turn("Warm."), Turn("Still warm."))
    result = await Runner.run(pilot(client, model), "The weather?")
    assert (result.final_output, len(result.raw_responses)) == ("Warm.", 3)
    usage = result.context_wrapper.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (300, 60, 360)
    again: Any = [*result.to_input_list(), {"role": "user", "content": "Again."}]
    assert (await Runner.run(pilot(client, model), again)).final_output == "Still warm."
    sent = json.dumps(actor.requests[-1][2]["messages"])
    assert [sent.count(f"21 degrees in {city}") for city in ("Paris", "Tokyo", "Rome")] == [1, 1, 1]
    assert sent.count(SIGNATURE) == (2 if model == ANTHROPIC else 0)
    assert "I look." in sent and "And Rome?" in sent


@models
async def test_a_streamed_run_has_the_same_items(client: AsyncOpenAI, actor: Actor, model: str) -> None:
    actor.plays(LOOKS, LOOKS_AGAIN, Turn("Warm."))
    result = Runner.run_streamed(pilot(client, model), "The weather?")
    text, kinds = "", list[str]()
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
        elif event.type == "run_item_stream_event":
            kinds.append(event.item.type)
    assert (result.final_output, text) == ("Warm.", "One more.Warm.")
    assert sorted(kinds) == sorted(
        [
            *("reasoning_item", "tool_call_item", "tool_call_item", "tool_call_output_item", "tool_call_output_item"),
            *("reasoning_item", "message_output_item", "tool_call_item", "tool_call_output_item"),
            "message_output_item",
        ]
    )


@models
async def test_a_final_output_has_its_type(client: AsyncOpenAI, actor: Actor, model: str) -> None:
    actor.plays(LOOKS, Turn('{"degrees": 21}'))
    result = await Runner.run(pilot(client, model, output_type=Forecast), "The weather?")
    assert result.final_output == Forecast(degrees=21)


async def test_an_agent_hands_over_to_another_one(client: AsyncOpenAI, actor: Actor) -> None:
    actor.plays(Turn(calls=(("transfer_to_navigator", {}),)), LOOKS, Turn("Warm."))
    navigator = pilot(client, ANTHROPIC).clone(name="Navigator", instructions="Know the sea.")
    result = await Runner.run(pilot(client, CHAT, handoffs=[navigator]), "The weather?")
    assert (result.final_output, result.last_agent.name) == ("Warm.", "Navigator")
    paths = [path for path, _, _ in actor.requests]
    assert paths == ["/v1/chat/completions", "/v1/messages", "/v1/messages"]


async def test_the_gateway_keeps_the_conversation(client: AsyncOpenAI, actor: Actor) -> None:
    actor.plays(LOOKS, Turn("Warm."), Turn("Still warm."))
    agent = pilot(client, ANTHROPIC, model_settings=ModelSettings(store=True))
    first = await Runner.run(agent, "The weather?", auto_previous_response_id=True)
    again = await Runner.run(agent, "Again.", previous_response_id=first.last_response_id)
    assert (first.final_output, again.final_output) == ("Warm.", "Still warm.")
    sent = json.dumps(actor.requests[-1][2]["messages"])
    assert "21 degrees in Paris" in sent and "Warm." in sent


@pytest.mark.parametrize("stream", [False, True])
@models
async def test_chat_completions_serve_as_well(client: AsyncOpenAI, actor: Actor, model: str, stream: bool) -> None:
    actor.plays(LOOKS, LOOKS_AGAIN, Turn("Warm."))
    agent = pilot(client, model).clone(model=OpenAIChatCompletionsModel(model, client), model_settings=ModelSettings())
    if stream:
        result = Runner.run_streamed(agent, "The weather?")
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(agent, "The weather?")
    assert (result.final_output, len(actor.requests)) == ("Warm.", 3)
    sent = json.dumps(actor.requests[-1][2]["messages"])
    assert [sent.count(f"21 degrees in {city}") for city in ("Paris", "Tokyo", "Rome")] == [1, 1, 1]
