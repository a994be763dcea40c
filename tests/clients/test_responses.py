"""OpenAI's SDKs and agents on the Responses API, in front of providers that do not have it."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.actor import SIGNATURE, Actor, Turn, serving_actor
from tests.clients.programs import printed
from tests.clients.world import DEMO_KEY, Event

pytestmark = pytest.mark.slow

ANTHROPIC, CHAT, REASONER = "anthropic/claude-sonnet-4-5", "mistral/mistral-large-2512", "deepseek/deepseek-reasoner"
models = pytest.mark.parametrize("model", [ANTHROPIC, CHAT, REASONER])
TOOLS: Any = [
    {
        "type": "function",
        "name": "get_weather",
        "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
OPTIONS: Any = {
    "tools": TOOLS,
    "store": False,
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
}
CALLS = Turn("", "I look.", (("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Tokyo"})))
EVENT = {"name": "Science fair", "participants": ["Alice", "Bob"]}


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, str]]:
    with serving_actor("mistral", "deepseek") as (actor, _, url):
        yield actor, f"{url}/v1"


@pytest.fixture
def client(gateway: tuple[Actor, str]) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway[1], api_key=DEMO_KEY, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def actor(gateway: tuple[Actor, str]) -> Actor:
    return gateway[0]


@models
def test_a_reply_and_a_stream_are_the_same(client: OpenAI, actor: Actor, model: str) -> None:
    actor.plays(Turn("The tide.", "Hm."), Turn("The tide.", "Hm."))
    whole = client.responses.create(model=model, input="Say it", **OPTIONS)
    with client.responses.stream(model=model, input="Say it", **OPTIONS) as stream:
        final = stream.until_done().get_final_response()
    assert (whole.output_text, final.output_text) == ("The tide.", "The tide.")
    assert [item.type for item in whole.output] == [item.type for item in final.output] == ["reasoning", "message"]
    assert whole.usage is not None and whole.usage == final.usage
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (100, 20)


@models
def test_reasoning_goes_back_with_the_results_of_tools(client: OpenAI, actor: Actor, model: str) -> None:
    actor.plays(CALLS, Turn("Warm."))
    items: Any = [{"role": "user", "content": "The weather?"}]
    first = client.responses.create(model=model, input=items, **OPTIONS)
    calls = [item for item in first.output if item.type == "function_call"]
    items += first.output
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"} for call in calls]
    second = client.responses.create(model=model, input=items, **OPTIONS)
    assert ([json.loads(call.arguments)["city"] for call in calls], second.output_text) == (["Paris", "Tokyo"], "Warm.")
    sent = json.dumps(actor.requests[-1][2]["messages"])
    assert sent.count("21 degrees") == 2
    assert "I look." in sent
    assert (SIGNATURE in sent) == (model == ANTHROPIC)


@models
def test_answers_conform_to_a_schema(client: OpenAI, actor: Actor, model: str) -> None:
    actor.plays(*[Turn(json.dumps(EVENT))] * 2)
    parsed = client.responses.parse(model=model, input="An event?", text_format=Event, **OPTIONS)
    assert parsed.output_parsed == Event.model_validate(EVENT)


def test_a_custom_tool_gets_its_text(client: OpenAI, actor: Actor) -> None:
    actor.plays(Turn(calls=(("run", {"input": "print(1)\n"}),)))
    tools: Any = [{"type": "custom", "name": "run", "description": "Runs Python."}]
    with client.responses.stream(model=CHAT, input="Run it", tools=tools, store=False) as stream:
        (call,) = stream.until_done().get_final_response().output
    assert (call.type, call.input) == ("custom_tool_call", "print(1)\n")


def test_a_stream_that_breaks_off_is_an_error(client: OpenAI, actor: Actor) -> None:
    actor.plays(Turn("The tide comes in", cut=True))
    kinds: list[str] = []
    with pytest.raises(openai.APIError):
        stream = client.responses.create(model=CHAT, input="Say it", stream=True, **OPTIONS)
        kinds.extend(event.type for event in stream)
    assert kinds[0] == "response.created" and "response.completed" not in kinds


def test_a_bad_request_is_refused_in_openais_envelope(client: OpenAI, actor: Actor) -> None:
    orphan: Any = [{"type": "function_call_output", "call_id": "c", "output": ""}]
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=CHAT, input=orphan)
    assert (raised.value.param, raised.value.code) == ("input", "invalid_request")


@pytest.mark.parametrize("model", [ANTHROPIC, REASONER])
def test_openai_node_understands_responses(gateway: tuple[Actor, str], actor: Actor, model: str) -> None:
    thought = Turn("The tide.", "Hm.")
    actor.plays(thought, CALLS, Turn("Warm."), thought, Turn(json.dumps(EVENT)), Turn("The tide comes in", cut=True))
    assert printed("responses.mjs", gateway[1], DEMO_KEY, model) == {
        "plain": {"text": "The tide.", "total": 120, "status": "completed"},
        "tools": {"calls": [["get_weather", "Paris"], ["get_weather", "Tokyo"]], "text": "Warm."},
        "helper": {"text": "The tide.", "same": True, "kinds": ["reasoning", "message"]},
        "parsed": EVENT,
        "cut": "APIError",
    }


@models
def test_the_agents_sdk_of_node_runs_tools_over_turns(gateway: tuple[Actor, str], actor: Actor, model: str) -> None:
    answers = ("Warm.", "Still warm.", "Warm again.", '{"degrees": 21}')
    actor.plays(*(turn for answer in answers for turn in (CALLS, Turn(answer))))
    assert printed("agents.mjs", gateway[1], DEMO_KEY, model) == {
        "first": "Warm.",
        "second": "Still warm.",
        "streamed": ["Warm again.", "Warm again."],
        "typed": {"degrees": 21},
    }
    sent = json.dumps(actor.requests[3][2]["messages"])  # the end of the second run, with all of the first
    assert (sent.count("21 degrees in Paris"), sent.count("I look.")) == (2, 2)
    assert sent.count(SIGNATURE) == (2 if model == ANTHROPIC else 0)


@pytest.mark.parametrize("model", [ANTHROPIC, REASONER])
def test_the_ai_sdk_runs_tools_over_turns(gateway: tuple[Actor, str], actor: Actor, model: str) -> None:
    answers = ("Warm.", "Warm again.", '{"degrees": 21}')
    turns = [turn for answer in answers for turn in (CALLS, Turn(answer))]
    actor.plays(*turns, Turn("The tide comes in", cut=True))
    assert printed("ai_responses.mjs", gateway[1], DEMO_KEY, model) == {
        "whole": ["Warm.", 2, 120],
        "streamed": ["Warm again.", "stop"],
        "typed": {"degrees": 21},
        "cut": True,
    }
    assert "I look." in json.dumps(actor.requests[1][2]["messages"])
