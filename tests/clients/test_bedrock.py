"""openai-python against Bedrock's binary frames as others write them, and against what can go wrong with them.

ministack answers as Bedrock, in the words of the stand-in of the other tests; microburst breaks what it answers. Before
the first frame nobody learns of it, if it passes; after that it is an error, and what was said is metered.
"""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients import published, world
from tests.clients.mocks import Burst, microburst, ministack
from tests.clients.programs import until
from tests.clients.tap import tapped
from tests.clients.world import DEMO_KEY, Provider, Server, user

pytestmark = pytest.mark.slow

MODEL = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TAGLINE = "Create smarter content, faster: powered by AI that knows your brand."
WEATHER: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def burst(provider: Provider) -> Iterator[Burst]:
    with ministack("bedrock-runtime", MINISTACK_BEDROCK_PROXY_URL=provider.url) as url, microburst(url) as made:
        yield made


@pytest.fixture(scope="module")
def bedrock_server(burst: Burst) -> Iterator[Server]:
    env = {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": burst.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "not-a-key-aws",
        "AWS_SECRET_ACCESS_KEY": "not-a-key-aws-either",
    }
    with world.serving("--store", "memory", env=env) as (program, port), tapped(("127.0.0.1", port)) as tap:
        yield Server(program, port, tap)
    assert program.err == []


@pytest.fixture
def client(bedrock_server: Server, burst: Burst) -> Iterator[OpenAI]:
    burst.breaks()
    bedrock_server.tap.forget()
    with OpenAI(base_url=bedrock_server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as made:
        yield made
    for exchange in bedrock_server.tap.exchanges():
        published.check(exchange)


def settled(server: Server, call_id: str | None) -> dict[str, Any]:
    """What is metered of one call, once it has ended."""

    def lines() -> list[Any]:
        told = [json.loads(line) for line in server.program.out if '"call.settled"' in line]
        return [line for line in told if line["call_id"] == call_id]

    until(lambda: bool(lines()))
    (line,) = lines()
    return line


def stream(client: OpenAI, text: str, **fields: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL, messages=user(text), stream=True, stream_options={"include_usage": True}, **fields
    )


def test_a_stream_of_real_frames(client: OpenAI) -> None:
    *chunks, last = stream(client, "Write a tagline.")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TAGLINE
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert last.usage.completion_tokens > 0
    assert last.usage.cost > 0


def test_a_plain_call_says_the_same(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=MODEL, messages=user("Write a tagline."))
    assert reply.choices[0].message.content == TAGLINE


def test_streamed_tool_calls_make_a_round_trip(client: OpenAI) -> None:
    prompt = "What is the weather in Paris and Tokyo?"
    with client.chat.completions.stream(model=MODEL, messages=user(prompt), tools=WEATHER) as running_stream:
        message = running_stream.get_final_completion().choices[0].message
    calls = message.tool_calls or []
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Tokyo"]
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "21 degrees"} for call in calls]
    replayed: Any = message.model_dump()
    answered = client.chat.completions.create(model=MODEL, messages=[*user(prompt), replayed, *results], tools=WEATHER)
    assert answered.choices[0].message.content == "Paris has 21 degrees, Tokyo has 25."


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (
            {"event_error": {"code": "ThrottlingException", "message": "Slow", "after_frames": 3}},
            "provider_rate_limited",
        ),
        ({"event_error": {"code": "modelStreamErrorException", "message": "x", "after_frames": 3}}, "provider_error"),
        ({"event_frames": [{"at": 3, "bad_crc": True}]}, "provider_malformed_response"),
        ({"event_frames": [{"at": 3, "cut": 0.5}]}, "provider_stream_cut"),
        ({"abort_frac": 0.6}, "provider_stream_cut"),
        ({"truncate_frac": 0.6}, "provider_stream_cut"),
    ],
    ids=["throttled", "failed", "bad_crc", "cut", "aborted", "truncated"],
)
def test_a_stream_that_breaks_is_an_error_and_never_an_end(
    client: OpenAI, bedrock_server: Server, burst: Burst, response: Any, code: str
) -> None:
    burst.breaks(response=response)
    said: list[str] = []
    answered = stream(client, "Write a tagline.")
    with pytest.raises(openai.APIError) as caught:
        for chunk in answered:
            assert chunk.choices[0].finish_reason is None
            said.append(chunk.choices[0].delta.content or "")
    assert caught.value.code == code
    assert TAGLINE.startswith("".join(said))
    metered = settled(bedrock_server, answered.response.headers["x-request-id"])
    told = [metered[name] for name in ("status", "error_code", "estimated", "attempts")]
    assert (told, metered["input_tokens"] > 0) == (["failed", code, True, 1], True)
    assert (metered["output_tokens"] > 0) == bool("".join(said))


def test_frames_that_nobody_knows_are_passed_over(client: OpenAI, burst: Burst) -> None:
    frame = {"event_type": "somethingNew", "payload": {"a": 1}}
    burst.breaks(response={"event_frames": [{"at": 2, "inject": frame}]})
    said = "".join(c.choices[0].delta.content or "" for c in stream(client, "Write a tagline.") if c.choices)
    assert said == TAGLINE


@pytest.mark.parametrize(
    ("fault", "streams"),
    [
        ({"error": {"code": "ThrottlingException", "status": 429, "message": "Slow."}}, False),
        ({"error": {"code": "ThrottlingException", "status": 429, "message": "Slow."}}, True),
        ({"error": {"code": "ServiceUnavailableException", "status": 503, "message": "No."}}, True),
        ({"reset": True}, False),
        ({"reset": True}, True),
        ({"response": {"event_error": {"code": "ThrottlingException", "message": "Slow", "after_frames": 0}}}, True),
        ({"response": {"event_frames": [{"at": 0, "bad_crc": True}]}}, True),
        ({"response": {"event_frames": [{"at": 0, "cut": 0.5}]}}, True),
    ],
    ids=["throttled", "throttled-stream", "unavailable", "reset", "reset-stream", "event", "bad_crc", "cut"],
)
def test_what_passes_before_the_first_frame_is_never_seen(
    client: OpenAI, bedrock_server: Server, burst: Burst, fault: Any, streams: bool
) -> None:
    burst.breaks(**fault, times=1)
    if streams:
        answered = stream(client, "Write a tagline.")
        said = "".join(chunk.choices[0].delta.content or "" for chunk in answered if chunk.choices)
        headers = answered.response.headers
    else:
        reply = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("Write a tagline."))
        said, headers = reply.parse().choices[0].message.content or "", reply.headers
    metered = settled(bedrock_server, headers["x-request-id"])
    is_charged = "error" not in fault and "event_error" not in fault.get("response", {})
    assert (said, metered["status"]) == (TAGLINE, "ok")
    # A first attempt that the provider may have worked on is charged by an estimate.
    assert metered["estimated"] == (is_charged and metered["attempts"] > 1)
    # Where the provider was idle for two seconds, the transport replaces what may have died meanwhile.
    assert metered["attempts"] in ((1, 2) if "reset" in fault else (2,))


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code", "attempts"),
    [
        ({"code": "ThrottlingException", "status": 429, "message": "Slow down."}, 429, "provider_rate_limited", 3),
        ({"code": "AccessDeniedException", "status": 403, "message": "No."}, 502, "provider_auth_error", 1),
        ({"code": "ValidationException", "status": 400, "message": "No."}, 400, "provider_bad_request", 1),
        ({"code": "ServiceUnavailableException", "status": 503, "message": "No."}, 503, "provider_overloaded", 3),
        ({"code": "ModelTimeoutException", "status": 408, "message": "No."}, 504, "provider_timeout", 3),
    ],
    ids=lambda value: value["code"] if isinstance(value, dict) else "",
)
def test_failures_before_the_first_frame(
    client: OpenAI,
    bedrock_server: Server,
    burst: Burst,
    error: Any,
    status: int,
    code: str,
    attempts: int,
    streams: bool,
) -> None:
    burst.breaks(error=error)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MODEL, messages=user("Hello"), stream=streams)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    metered = settled(bedrock_server, caught.value.request_id)
    assert [metered[name] for name in ("status", "attempts")] == ["failed", attempts]
    is_refused = code != "provider_timeout"
    assert (metered["input_tokens"] == 0) == is_refused
    assert (metered["cost_usd"] == "0") == is_refused
