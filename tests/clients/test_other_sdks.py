"""The SDKs of OpenRouter and Lunos, the AI SDK's OpenRouter provider, and AzureOpenAI, each with all of its cases.

The SDKs of OpenRouter refuse what differs from their schemas, so that what they understood is right.
"""

from typing import Any

import pytest
from openai import AzureOpenAI

from tests.clients.programs import printed
from tests.clients.world import DEMO_KEY, DEMO_WORKSPACE, MODEL, Server, user

pytestmark = pytest.mark.slow

TAGLINE = "Create smarter content, faster: powered by AI that knows your brand."
WEATHER = "Paris has 21 degrees, Tokyo has 25."
THOUGHT = "Six times seven: let me multiply."
REASONER = "groq/qwen/qwen3-32b"


@pytest.fixture(scope="module")
def openrouter(running_server: Server) -> Any:
    return printed("openrouter.mjs", f"{running_server.root}/api/v1", DEMO_KEY, MODEL, REASONER)


@pytest.fixture(scope="module")
def lunos(running_server: Server) -> Any:
    return printed("lunos.mjs", running_server.root, DEMO_KEY, MODEL)


def test_openrouters_sdk_reads_replies_and_streams(openrouter: Any) -> None:
    assert openrouter["plain"] == {"content": TAGLINE, "usage": [26, True], "model": MODEL}
    assert openrouter["stream"] == {"content": TAGLINE, "ids": 1, "total": 26}
    assert openrouter["reasoning"] == {"content": "Forty-two.", "reasoning": THOUGHT}


def test_openrouters_sdk_calls_tools_and_replays_them(openrouter: Any) -> None:
    calls = [["call_paris", "get_weather", "Paris"], ["call_tokyo", "get_weather", "Tokyo"]]
    assert openrouter["tools"] == {"calls": calls, "content": WEATHER}


def test_openrouters_sdk_lists_models_and_knows_the_account(openrouter: Any) -> None:
    assert openrouter["models"] == {"found": True, "all": True, "next": None, "one": MODEL}
    label = openrouter["account"].pop("label")
    assert (openrouter["account"], label.startswith("key_demo")) == ({"left": True, "limit": None}, True)
    assert openrouter["generation"] == {"same": True, "cost": True, "providerName": "openai", "tokensCompletion": 12}


def test_openrouters_sdk_knows_its_errors(openrouter: Any) -> None:
    errors = openrouter["errors"]
    assert errors.pop("cut") == {"code": 502, "finish": "error"}
    assert {name: [error["name"], error["code"], error["type"]] for name, error in errors.items()} == {
        "busy": ["TooManyRequestsResponseError", 429, "provider_rate_limited"],
        "key": ["UnauthorizedResponseError", 401, "invalid_api_key"],
        "lost": ["NotFoundResponseError", 404, "model_not_found"],
        "hot": ["BadRequestResponseError", 400, "invalid_request"],
        "generation": ["NotFoundResponseError", 404, "not_found"],
    }


def test_the_ai_sdk_gets_usage_and_provider_from_its_openrouter_provider(openrouter: Any) -> None:
    assert openrouter["ai"] == {
        "text": [TAGLINE, TAGLINE],
        "provider": ["openai", "openai"],
        "cost": [True, True],
        "total": [26, 26],
    }
    assert openrouter["aiTools"] == {"plain": WEATHER, "streamed": WEATHER, "steps": 2}
    assert openrouter["aiReasoning"] == {"text": "Forty-two.", "reasoning": THOUGHT}
    assert openrouter["aiErrors"] == {"statusCode": 429, "isRetryable": True, "code": 429}


def test_lunoss_client_reads_replies_and_streams(lunos: Any) -> None:
    assert lunos["plain"] == {"content": TAGLINE, "total": 26}
    assert lunos["stream"] == {"content": TAGLINE}
    assert lunos["fallback"] == {"model": MODEL}


def test_lunoss_client_reads_models_account_and_generations(lunos: Any) -> None:
    assert lunos["models"] == {
        "one": ["openai", "available", ["text-generation"]],
        "chat": True,
        "embeddings": True,
        "owned": True,
        "context": 1_000_000,
        "price": {"input": 0.4, "output": 1.6},
        "chats": True,
        "searched": True,
    }
    assert lunos["embedding"] == {"length": 8, "tokens": 2}
    assert lunos["account"] == {"id": DEMO_WORKSPACE, "used": True}
    assert lunos["generation"] == {"same": True, "model": MODEL, "tokens": 12}


def test_lunoss_client_knows_its_errors(lunos: Any) -> None:
    errors = lunos["errors"]
    assert {name: (error["status"], error["code"]) for name, error in errors.items()} == {
        "busy": (429, "RATE_LIMIT_ERROR"),
        "key": (401, "AUTHENTICATION_ERROR"),
        "image": (404, "NOT_FOUND"),
        "embedding": (400, "VALIDATION_ERROR"),
    }
    assert "must be non-empty strings" in errors["embedding"]["message"]


def test_azures_client_of_node_finds_its_deployments(server: Server) -> None:
    seen = printed("azure.mjs", server.root, DEMO_KEY, MODEL)
    assert seen == dict.fromkeys(("byModel", "byDeployment", "byToken", "streamed"), TAGLINE)


def test_azures_client_of_python_finds_its_deployments(server: Server) -> None:
    options: dict[str, Any] = {"azure_endpoint": server.root, "api_version": "2024-10-21", "max_retries": 0}
    with AzureOpenAI(**options, api_key=DEMO_KEY) as client:
        reply = client.chat.completions.create(model=MODEL, messages=user("Write a tagline."))  # type: ignore[arg-type]
        assert reply.choices[0].message.content == TAGLINE
        assert MODEL in {model.id for model in client.models.list()}
        assert len(client.embeddings.create(model="demo/embed", input="A boat").data[0].embedding) == 8
    with AzureOpenAI(**options, azure_deployment=MODEL, azure_ad_token=DEMO_KEY) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=user("Write a tagline."))  # type: ignore[arg-type]
        assert reply.model == MODEL
