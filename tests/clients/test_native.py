"""openai-python against providers with dialects of their own, which somebody else wrote the stand-ins for.

The stand-in is aimock: it answers in Anthropic's, Azure's, Bedrock's, Cohere's and Gemini's words from `fixtures.json`.
Its streams of Bedrock are not AWS's frames: tests/clients/test_bedrock.py has others.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from openai import OpenAI

from tests.clients import published, world
from tests.clients.tap import Tap, tapped
from tests.clients.world import DEMO_KEY, WEATHER, Event, Provider, Server, unique, user

pytestmark = pytest.mark.slow

KEY_ID, SECRET = "not-a-key-aws", "not-a-key-aws-either"
TAGLINE = "Create smarter content, faster: powered by AI that knows your brand."
MODELS = {
    "anthropic": "anthropic/claude-sonnet-4-5",
    "azure": "azure/gpt-4.1-mini",
    "bedrock": "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "cohere/command-a-03-2025",
    "gemini": "gemini/gemini-2.5-flash",
    "google": "google/gemini-2.5-flash",
    "vertex": "vertex/gemini-2.5-flash",
}
PATHS = {
    "anthropic": "/v1/messages",
    "azure": "/openai/deployments/gpt-4.1-mini/chat/completions",
    "bedrock": "/model/us.anthropic.claude-sonnet-4-5-20250929-v1",
    "cohere": "/v2/chat",
    "gemini": "/v1beta/models/gemini-2.5-flash:",
    "google": "/v1beta/models/gemini-2.5-flash:",
    "vertex": "/v1/projects/harbour-1/locations/europe-west4/publishers/google/models/gemini-2.5-flash:",
}
models = pytest.mark.parametrize("name", MODELS)
streaming = pytest.mark.parametrize("name", [name for name in MODELS if name != "bedrock"])


def settings(provider: Provider) -> dict[str, str]:
    """The stand-in for all of them, with base URLs as each official SDK takes them."""
    return {
        "ANTHROPIC_BASE_URL": provider.url,
        "ANTHROPIC_API_KEY": "not-a-key-anthropic",
        "AZURE_OPENAI_BASE_URL": provider.url,
        "AZURE_OPENAI_API_KEY": "not-a-key-azure",
        "COHERE_BASE_URL": provider.url,
        "COHERE_API_KEY": "not-a-key-cohere",
        "GEMINI_BASE_URL": provider.url,
        "GEMINI_API_KEY": "not-a-key-gemini",
        "VERTEX_BASE_URL": f"{provider.url}/v1/projects/harbour-1/locations/europe-west4",
        "VERTEX_API_KEY": "not-a-key-vertex",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


@pytest.fixture(scope="module")
def to_bedrock(provider: Provider) -> Iterator[Tap]:
    """The wire between the gateway and Bedrock."""
    address = urlsplit(provider.url)
    with tapped((address.hostname or "", address.port or 0)) as tap:
        yield tap


@pytest.fixture(scope="module")
def native_server(provider: Provider, to_bedrock: Tap) -> Iterator[Server]:
    bedrock = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://127.0.0.1:{to_bedrock.port}"}
    with (
        world.serving("--store", "memory", env=settings(provider) | bedrock) as (program, port),
        tapped(("127.0.0.1", port)) as tap,
    ):
        yield Server(program, port, tap)
    assert program.err == []
    assert "not-a-key" not in "".join(program.out)


@pytest.fixture
def client(native_server: Server) -> Iterator[OpenAI]:
    native_server.tap.forget()
    with OpenAI(base_url=native_server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as made:
        yield made
    for exchange in native_server.tap.exchanges():
        published.check(exchange)
        assert b"not-a-key" not in exchange.body


def ask(client: OpenAI, name: str, text: str, **fields: Any) -> Any:
    return client.chat.completions.create(model=MODELS[name], messages=user(text), **fields)


def canonical(name: str) -> str:
    return MODELS[name].replace("google/", "gemini/")


@models
def test_a_plain_call(client: OpenAI, provider: Provider, name: str) -> None:
    prompt = unique("Write a tagline for an AI content platform.")
    raw = client.chat.completions.with_raw_response.create(
        model=MODELS[name], messages=user(prompt), max_completion_tokens=64, temperature=0.5
    )
    reply = raw.parse()
    assert reply.choices[0].message.content == TAGLINE
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.model, raw.headers["x-tidegate-provider"]) == (canonical(name), canonical(name).partition("/")[0])
    usage = reply.usage.model_dump()
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["words_used"]) == (14, 12, 9)
    assert usage["cost"] > 0
    (entry,) = provider.entries(prompt)
    assert entry["path"].startswith(PATHS[name])
    assert raw.headers.get("x-tidegate-ignored-params") is None


def test_what_bedrock_is_sent_on_the_wire_is_what_was_signed(client: OpenAI, to_bedrock: Tap) -> None:
    to_bedrock.forget()
    ask(client, "bedrock", "Hello")
    (exchange,) = to_bedrock.exchanges()
    asked = exchange.asked_headers
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\S+)", asked["authorization"]
    )
    assert found is not None
    assert found[1].split("/")[2:] == ["eu-central-1", "bedrock", "aws4_request"]
    signed = {name: asked[name] for name in found[2].split(";")}
    same = AWSRequest("POST", f"http://{asked['host']}{exchange.path}", data=exchange.asked, headers=signed)
    same.context["timestamp"] = asked["x-amz-date"]
    signer = SigV4Auth(Credentials(KEY_ID, SECRET), "bedrock", "eu-central-1")
    assert found[3] == signer.signature(signer.string_to_sign(same, signer.canonical_request(same)), same)


@streaming
def test_a_stream(client: OpenAI, name: str) -> None:
    *chunks, last = ask(client, name, "Write a tagline.", stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TAGLINE
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens) == ([], 14, 12)
    assert (last.usage.words_used, last.usage.cost > 0) == (9, True)


@streaming
def test_the_stream_helper(client: OpenAI, name: str) -> None:
    with client.chat.completions.stream(model=MODELS[name], messages=user("Write a tagline.")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == TAGLINE


@models
def test_parallel_tool_calls_make_a_round_trip(client: OpenAI, provider: Provider, name: str) -> None:
    prompt = unique("What is the weather in Paris and Tokyo?")
    asked = ask(client, name, prompt, tools=WEATHER, tool_choice="auto")
    assert asked.choices[0].finish_reason == "tool_calls"
    message = asked.choices[0].message
    assert [(call.type, call.function.name) for call in message.tool_calls] == [("function", "get_weather")] * 2
    assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls] == ["Paris", "Tokyo"]
    assert len({call.id for call in message.tool_calls}) == 2
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "21 degrees"} for call in message.tool_calls]
    # The assistant's turn is replayed as the SDK has it, with everything that the gateway added.
    answered = client.chat.completions.create(
        model=MODELS[name], messages=[*user(prompt), message, *results], tools=WEATHER
    )
    assert answered.choices[0].message.content == "Paris has 21 degrees, Tokyo has 25."
    _, second = provider.received(prompt)  # in OpenAI's words, into which the stand-in translates what it is sent
    sent = [call["id"] for turn in second["messages"] for call in turn.get("tool_calls") or ()]
    assert sent == (
        ["call_gemini_get_weather_0", "call_gemini_get_weather_1"]  # before Gemini 3, calls are known by their place
        if "gemini" in MODELS[name]
        else [call.id for call in message.tool_calls]
    )


@streaming
def test_streamed_tool_calls_are_assembled_and_replayed(client: OpenAI, name: str) -> None:
    prompt = "What is the weather in Paris and Tokyo?"
    with client.chat.completions.stream(model=MODELS[name], messages=user(prompt), tools=WEATHER) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert final.choices[0].finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls or ()] == ["Paris", "Tokyo"]
    # The helper's message holds `parsed`, `index` and `parsed_arguments`, which no provider knows.
    replayed: Any = message.model_dump()
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "25"} for call in replayed["tool_calls"]]
    answered = client.chat.completions.create(
        model=MODELS[name], messages=[*user(prompt), replayed, *results], tools=WEATHER
    )
    assert answered.choices[0].message.content == "Paris has 21 degrees, Tokyo has 25."


@models
def test_structured_output_is_parsed(client: OpenAI, name: str) -> None:
    parsed = client.chat.completions.parse(
        model=MODELS[name], messages=user("Alice and Bob go to a science fair on Friday."), response_format=Event
    )
    assert parsed.choices[0].message.parsed == Event(name="Science fair", participants=["Alice", "Bob"])


@streaming
def test_structured_output_is_parsed_from_a_stream(client: OpenAI, name: str) -> None:
    with client.chat.completions.stream(
        model=MODELS[name], messages=user("Alice and Bob go to a science fair."), response_format=Event
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Event(name="Science fair", participants=["Alice", "Bob"])


@models
def test_an_answer_that_ended_early_says_so(client: OpenAI, name: str) -> None:
    assert ask(client, name, "Tell everything").choices[0].finish_reason == "length"


@models
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("prompt", "kind", "status", "code"),
    [
        ("always busy", openai.RateLimitError, 429, "provider_rate_limited"),
        ("a key that is wrong", openai.InternalServerError, 502, "provider_auth_error"),
        ("a request that is wrong", openai.BadRequestError, 400, "provider_bad_request"),
        ("a provider that fails", openai.InternalServerError, 502, "provider_error"),
        ("a provider that is full", openai.InternalServerError, 503, "provider_overloaded"),
    ],
)
def test_failures_have_the_sdks_class(
    client: OpenAI, name: str, prompt: str, kind: type[openai.APIStatusError], status: int, code: str, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        ask(client, name, prompt, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.response.headers.get("retry-after") == ("7" if status == 429 else None)


@streaming
@pytest.mark.parametrize("prompt", ["break off", "hang up"])
def test_a_stream_that_is_cut_is_an_error_and_never_an_end(client: OpenAI, name: str, prompt: str) -> None:
    said: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in ask(client, name, prompt, stream=True):
            assert chunk.choices[0].finish_reason is None
            said.append(chunk.choices[0].delta.content or "")
    assert "".join(said).startswith("This sen")
    assert caught.value.code == "provider_stream_cut"
