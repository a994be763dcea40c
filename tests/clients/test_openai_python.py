"""openai-python, as applications use it."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, HELD, MODEL, WEATHER, Event, Provider, Server, unique, user

pytestmark = pytest.mark.slow

TAGLINE = "Create smarter content, faster: powered by AI that knows your brand."


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as made:
        yield made


def ask(client: OpenAI, text: str, **fields: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=user(text), **fields)


def test_a_plain_call_is_answered_billed_and_named(client: OpenAI, provider: Provider) -> None:
    prompt = unique("Write a tagline for an AI content platform.")
    reply = ask(client, prompt, temperature=0.7, max_completion_tokens=64)
    assert reply.choices[0].message.content == TAGLINE
    assert (reply.model, reply.system_fingerprint) == (MODEL, "fp_tide")
    assert reply.id.startswith("chatcmpl-")
    assert reply.usage.model_dump(exclude={"prompt_tokens_details", "completion_tokens_details"}) == {
        "prompt_tokens": 14,
        "completion_tokens": 12,
        "total_tokens": 26,
        "words_used": 9,
        "words_details": {"input_words": 9, "output_words": 9, "method": "tokens"},
        "cost": pytest.approx(14 * 0.4e-6 + 12 * 1.6e-6),
    }
    (sent,) = provider.entries(prompt)
    del sent["body"]["_endpointType"]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"] == {
        "model": "gpt-4.1-mini",
        "messages": user(prompt),
        "temperature": 0.7,
        "max_completion_tokens": 64,
    }
    assert not [name for name in sent["headers"] if name.startswith("x-stainless")]


def test_the_headers_say_who_answered(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("Hello"))
    named = {name: raw.headers[f"x-tidegate-{name}"] for name in ("provider", "model", "attempts")}
    assert named == {"provider": "openai", "model": MODEL, "attempts": "1"}
    assert float(raw.headers["x-tidegate-overhead-ms"]) >= 0
    assert raw.parse()._request_id == raw.headers["x-request-id"] == raw.request_id


@pytest.mark.parametrize("stream", [False, True])
def test_a_dry_run_is_a_wish_in_the_extra_body(client: OpenAI, provider: Provider, stream: bool) -> None:
    prompt = unique("Write a tagline.")
    wish = {"dry_run": True, "stream": stream}
    said: Any = client.chat.completions.create(model=MODEL, messages=user(prompt), extra_body=wish)
    assert said.object == "tidegate.dry_run"
    assert said.plan[0]["request"]["body"]["messages"] == user(prompt)
    assert provider.entries(prompt) == []


def test_a_stream_says_the_same_as_a_plain_call(client: OpenAI) -> None:
    chunks = list(ask(client, "Write a tagline.", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TAGLINE
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert {chunk.usage for chunk in chunks} == {None}


def test_a_stream_ends_with_usage_where_it_is_wanted(client: OpenAI) -> None:
    *_, last = ask(client, "Write a tagline.", stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage.total_tokens, last.usage.words_used) == ([], 26, 9)


def test_the_stream_helper_assembles_a_call(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=user("Write a tagline."), stream_options={"include_usage": True}
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == TAGLINE
    assert final.usage is not None and final.usage.total_tokens == 26


def test_structured_output_is_parsed(client: OpenAI, provider: Provider) -> None:
    prompt = unique("Alice and Bob go to a science fair on Friday.")
    parsed = client.chat.completions.parse(model=MODEL, messages=user(prompt), response_format=Event)
    assert parsed.choices[0].message.parsed == Event(name="Science fair", participants=["Alice", "Bob"])
    (sent,) = provider.received(prompt)
    assert sent["response_format"]["json_schema"]["strict"] is True


def test_structured_output_is_parsed_from_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=user("Alice and Bob go to a science fair."), response_format=Event
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Event(name="Science fair", participants=["Alice", "Bob"])


def test_parallel_tool_calls_make_a_round_trip(client: OpenAI, provider: Provider) -> None:
    prompt = unique("What is the weather in Paris and Tokyo?")
    messages: Any = user(prompt)
    asked = ask(client, prompt, tools=WEATHER, tool_choice="auto", parallel_tool_calls=True)
    assert asked.choices[0].finish_reason == "tool_calls"
    calls = asked.choices[0].message.tool_calls
    assert [(call.id, call.function.name) for call in calls] == [
        ("call_paris", "get_weather"),
        ("call_tokyo", "get_weather"),
    ]
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Tokyo"]
    # The assistant's turn is replayed as the SDK has it, with everything that the gateway added.
    messages += [asked.choices[0].message]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "21 degrees"} for call in calls]
    answered = client.chat.completions.create(model=MODEL, messages=messages, tools=WEATHER)
    assert answered.choices[0].message.content == "Paris has 21 degrees, Tokyo has 25."
    _, sent = provider.received(prompt)
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in sent["messages"][1]["tool_calls"]] == ["call_paris", "call_tokyo"]


def test_streamed_tool_calls_are_assembled_and_replayed(client: OpenAI) -> None:
    prompt = "What is the weather in Paris and Tokyo?"
    with client.chat.completions.stream(model=MODEL, messages=user(prompt), tools=WEATHER) as stream:
        message = stream.get_final_completion().choices[0].message
    assert [call.function.name for call in message.tool_calls or ()] == ["get_weather", "get_weather"]
    # The helper's message holds `parsed`, `index` and `parsed_arguments`, which no provider knows.
    replayed = message.model_dump()
    assert "parsed_arguments" in replayed["tool_calls"][0]["function"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "25"} for call in replayed["tool_calls"]]
    answered = client.chat.completions.create(model=MODEL, messages=[*user(prompt), replayed, *results], tools=WEATHER)
    assert answered.choices[0].message.content == "Paris has 21 degrees, Tokyo has 25."


def test_reasoning_is_told_plain_and_streamed(client: OpenAI) -> None:
    def think(**fields: Any) -> Any:
        return client.chat.completions.create(model="groq/qwen/qwen3-32b", messages=user("Think first."), **fields)

    reply = think(reasoning_effort="low")
    assert reply.choices[0].message.reasoning == "Six times seven: let me multiply."
    assert reply.choices[0].message.reasoning_content == "Six times seven: let me multiply."
    chunks = list(think(stream=True))
    said = "".join(getattr(chunk.choices[0].delta, "reasoning", None) or "" for chunk in chunks)
    assert said == "Six times seven: let me multiply."


@pytest.mark.parametrize(
    ("prompt", "reason"), [("Tell everything", "length"), ("refused by a filter", "content_filter")]
)
def test_a_reply_that_ended_early_says_so(client: OpenAI, prompt: str, reason: str) -> None:
    assert ask(client, prompt).choices[0].finish_reason == reason
    chunks = list(ask(client, prompt, stream=True))
    assert chunks[-1].choices[0].finish_reason == reason


def test_content_may_come_in_parts_and_roles_may_be_new(client: OpenAI) -> None:
    messages: Any = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": "Hi.", "refusal": None, "annotations": [], "audio": None},
        {"role": "user", "content": [{"type": "text", "text": "Hello again"}], "name": "ada"},
    ]
    reply = client.chat.completions.create(model=MODEL, messages=messages, metadata={"team": "harbour"})
    assert reply.choices[0].message.content == "Hello! How can I help you today?"


@pytest.mark.parametrize(
    ("prompt", "kind", "status", "code"),
    [
        ("always busy", openai.RateLimitError, 429, "provider_rate_limited"),
        ("a key that is wrong", openai.InternalServerError, 502, "provider_auth_error"),
        ("a request that is wrong", openai.BadRequestError, 400, "provider_bad_request"),
        ("far too long", openai.BadRequestError, 400, "context_length_exceeded"),
        ("a provider that fails", openai.InternalServerError, 502, "provider_error"),
        ("a provider that is full", openai.InternalServerError, 503, "provider_overloaded"),
        ("nobody knows this", openai.InternalServerError, 503, "provider_overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_failure_has_the_sdks_class(
    client: OpenAI, prompt: str, kind: type[openai.APIStatusError], status: int, code: str, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        ask(client, prompt, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert "not-a-key" not in str(caught.value)


def test_a_providers_own_words_and_field_pass_through(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "a request that is wrong")
    assert (caught.value.param, caught.value.body["message"]) == ("seed", "Invalid value for 'seed'.")


def test_our_own_refusals_have_the_sdks_class(client: OpenAI, server: Server) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown:
        client.with_options(api_key="sk-nobody").models.list()
    with pytest.raises(openai.PermissionDeniedError) as foreign:
        client.with_options(default_headers={"x-workspace-id": "ws_other"}).models.list()
    with pytest.raises(openai.NotFoundError) as lost:
        client.chat.completions.create(model="nobody/nothing", messages=user("Hello"))
    with pytest.raises(openai.BadRequestError) as hot:
        ask(client, "Hello", temperature=3)
    with pytest.raises(openai.NotFoundError) as nowhere:
        client.images.generate(model=MODEL, prompt="Hello")
    raised = [caught.value for caught in (unknown, foreign, lost, hot, nowhere)]
    assert [(error.code, error.param) for error in raised] == [
        ("invalid_api_key", None),
        ("workspace_forbidden", None),
        ("model_not_found", "model"),
        ("invalid_request", "temperature"),
        ("not_found", None),
    ]
    assert all(error.request_id for error in raised)


def test_the_workspace_may_be_named(client: OpenAI) -> None:
    named = client.with_options(default_headers={"x-workspace-id": DEMO_WORKSPACE, "X-App-ID": "tests"})
    assert ask(named, "Hello").choices[0].finish_reason == "stop"


def test_the_sdk_waits_as_long_as_the_provider_asks(client: OpenAI, provider: Provider) -> None:
    prompt = unique("busy once")
    reply = ask(client.with_options(max_retries=2), prompt)
    assert reply.choices[0].message.content == "Here again."
    first, second = (entry["timestamp"] for entry in provider.entries(prompt))
    assert second - first >= 1000


def test_a_rate_limit_says_when_to_come_back(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, "always busy")
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_client_that_loses_patience_gets_its_timeout(client: OpenAI) -> None:
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=HELD, messages=user("Hello"), timeout=0.3)
    assert time.monotonic() - began < 5


def test_a_call_may_bring_its_own_timeout(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=HELD, messages=user("Hello"), extra_body={"timeout": 0.3})
    assert (caught.value.status_code, caught.value.type) == (504, "timeout_error")


@pytest.mark.parametrize("prompt", ["break off", "hang up"])
def test_a_stream_that_the_provider_cuts_is_an_error_and_never_an_end(client: OpenAI, prompt: str) -> None:
    said: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in ask(client, prompt, stream=True):
            assert chunk.choices[0].finish_reason is None
            said.append(chunk.choices[0].delta.content or "")
    assert "".join(said).startswith("This sentence")
    assert caught.value.code == "provider_stream_cut"
    body: Any = caught.value.body
    assert body["usage"]["completion_tokens"] > 0


def test_models_are_listed_and_found(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert MODEL in models
    assert {id.partition("/")[0] for id in models} >= {"openai", "groq"}
    assert client.models.retrieve(MODEL) == models[MODEL]
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("openai/gpt-nobody")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_without_its_provider_is_found(client: OpenAI) -> None:
    bare = client.chat.completions.create(model="gpt-4.1-mini", messages=user("Hello"))
    passed = client.chat.completions.create(model="openai/gpt-of-tomorrow", messages=user("Hello"))
    assert (bare.model, passed.model) == (MODEL, "openai/gpt-of-tomorrow")
    assert passed.usage is not None and passed.usage.model_dump()["cost"] is None


def test_async_calls_do_not_wait_for_each_other(server: Server) -> None:
    async def everything() -> tuple[list[str | None], str, Any]:
        async with AsyncOpenAI(base_url=server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as client:
            replies = await asyncio.gather(
                *(client.chat.completions.create(model=MODEL, messages=user("Hello")) for _ in range(8))
            )
            stream = await client.chat.completions.create(model=MODEL, messages=user("Write a tagline."), stream=True)
            said = [chunk.choices[0].delta.content or "" async for chunk in stream]
            parsed = await client.chat.completions.parse(
                model=MODEL, messages=user("Alice and Bob go out."), response_format=Event
            )
            return [reply.choices[0].message.content for reply in replies], "".join(said), parsed

    replies, said, parsed = asyncio.run(everything())
    assert replies == ["Hello! How can I help you today?"] * 8
    assert said == TAGLINE
    assert parsed.choices[0].message.parsed.participants == ["Alice", "Bob"]
