"""openai-node, the AI SDK and Node's own fetch: a script runs all its cases, the tests read what it printed."""

from typing import Any

import pytest

from tests.clients import published
from tests.clients.programs import printed
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, MODEL, Provider, Server

pytestmark = pytest.mark.slow

TAGLINE = "Create smarter content, faster: powered by AI that knows your brand."
WEATHER = "Paris has 21 degrees, Tokyo has 25."
EVENT = {"name": "Science fair", "participants": ["Alice", "Bob"]}
REASONER = "groq/qwen/qwen3-32b"


def understood(running_server: Server, name: str, *words: str) -> Any:
    """What the script understood, once every exchange has been found to be what OpenAI published."""
    running_server.tap.forget()
    seen = printed(name, running_server.url, DEMO_KEY, MODEL, *words)
    exchanges = running_server.tap.exchanges()
    assert len(exchanges) >= len(seen)
    for exchange in exchanges:
        published.check(exchange)
    return seen


@pytest.fixture(scope="module")
def node(running_server: Server) -> Any:
    return understood(running_server, "openai.mjs")


@pytest.fixture(scope="module")
def ai(running_server: Server) -> Any:
    return understood(running_server, "ai.mjs", REASONER)


def test_openai_node_reads_replies_and_streams(node: Any) -> None:
    assert node["plain"] == {"content": TAGLINE, "usage": [26, 9], "provider": "openai", "named": True}
    assert node["stream"] == {"content": TAGLINE, "choices": [], "total": 26}
    assert node["helper"] == {"role": "assistant", "content": TAGLINE, "same": True, "finish": "stop"}


def test_openai_node_calls_tools_and_replays_them(node: Any) -> None:
    assert node["tools"] == {
        "calls": [["call_paris", "get_weather", "Paris"], ["call_tokyo", "get_weather", "Tokyo"]],
        "content": WEATHER,
    }
    assert node["runner"] == {"content": WEATHER, "results": 2}


def test_openai_node_parses_structured_output(node: Any) -> None:
    assert node["parsed"] == {"plain": EVENT, "streamed": EVENT}


def test_openai_node_lists_models(node: Any) -> None:
    assert node["models"] == {"listed": True, "one": MODEL}


def test_openai_node_knows_its_errors(node: Any) -> None:
    seen = {name: [error["class"], error.get("status"), error["code"]] for name, error in node["errors"].items()}
    assert seen == {
        "busy": ["RateLimitError", 429, "provider_rate_limited"],
        "key": ["AuthenticationError", 401, "invalid_api_key"],
        "lost": ["NotFoundError", 404, "model_not_found"],
        "hot": ["BadRequestError", 400, "invalid_request"],
        "cut": ["APIError", None, "provider_stream_cut"],
    }
    assert [name for name, error in node["errors"].items() if error["hasUsage"]] == ["cut"]
    assert node["errors"]["hot"]["param"] == "temperature"
    assert all(node["errors"][name]["hasRequestID"] for name in ("busy", "key", "lost", "hot"))


def test_openai_node_retries_and_may_stop_reading(node: Any, provider: Provider) -> None:
    assert node["retried"] == {"content": "Here again."}
    assert len(provider.received("busy at first")) == 2
    assert node["aborted"] == {"chunks": 2}


def test_the_ai_sdk_reads_replies_and_streams(ai: Any) -> None:
    assert ai["plain"] == {"text": TAGLINE, "finishReason": "stop", "tokens": [14, 12, 26]}
    assert ai["stream"] == {"text": TAGLINE, "finishReason": "stop", "total": 26}
    assert ai["length"] == {"finishReason": "length"}


def test_the_ai_sdk_calls_tools_in_steps(ai: Any) -> None:
    assert ai["tools"] == {
        "calls": [["call_paris", "get_weather", "Paris"], ["call_tokyo", "get_weather", "Tokyo"]],
        "text": WEATHER,
        "steps": 2,
    }
    assert ai["streamedTools"] == {
        "calls": [["call_paris", "Paris"], ["call_tokyo", "Tokyo"]],
        "text": WEATHER,
        "steps": 2,
    }


def test_the_ai_sdk_parses_structured_output(ai: Any) -> None:
    assert ai["structured"] == {"plain": EVENT, "streamed": EVENT}


def test_the_ai_sdk_reads_reasoning(ai: Any) -> None:
    thought = "Six times seven: let me multiply."
    assert ai["reasoning"] == {"text": "Forty-two.", "plain": thought, "streamed": thought}


def test_the_ai_sdk_knows_its_errors(ai: Any) -> None:
    assert ai["errors"] == {
        "always busy": {"statusCode": 429, "isRetryable": True, "code": "provider_rate_limited", "retry": "7"},
        "a request that is wrong": {
            "statusCode": 400,
            "isRetryable": False,
            "code": "provider_bad_request",
            "retry": None,
        },
    }
    assert ai["cut"]["error"] is True
    assert ai["cut"]["finishReason"] != "stop"


def test_nodes_fetch_reads_the_documented_example_of_neuroflash(server: Server) -> None:
    words = ("Write a tagline for an AI content platform.",)
    body = printed("neuroflash.mjs", server.neuroflash, DEMO_KEY, DEMO_WORKSPACE, MODEL, *words)
    published.check_completion(body)
    assert body["id"].startswith("gen-")
    assert (body["choices"][0]["message"]["content"], body["usage"]["words_used"]) == (TAGLINE, 9)
