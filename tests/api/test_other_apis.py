"""Paths of other APIs: the 404 says what they are and what to do instead."""

import re
import time

import pytest

from tests.world import SECRET, USER, Client
from tidegate.api import other_apis
from tidegate.catalog import load_catalog

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER}
SPOKEN = "POST /v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "api", "advice"),
    [
        ("/anthropic/v1/messages", "Anthropic's API, with another prefix", "ANTHROPIC_BASE_URL"),
        ("/v1/v1/messages/count_tokens", "Anthropic's API, with another prefix", "without /v1"),
        ("/anthropic/v1/messages/batches/b", "Anthropic's API of batches", "POST /v1/files and /v1/batches"),
        ("/v1/v1/responses", "OpenAI's Responses API, with another prefix", "POST /v1/responses"),
        ("/v1/v1/embeddings", "OpenAI's API of embeddings or moderations, with another path", "POST /v1/embeddings"),
        ("/v1/engines/davinci/completions", "an API of text completions", "POST /v1/completions"),
        ("/generate", "an API of text completions", "client.chat.completions.create"),
        ("/v1/images/generations", "an API that makes images or videos", "modalities"),
        ("/v1/image/generations", "an API that makes images or videos", "modalities"),
        ("/v1/audio/speech", "OpenAI's audio API", "Set the provider of speech apart"),
        ("/v1/audio/transcriptions", "OpenAI's audio API", "send audio in the messages"),
        (
            "/api/moderations",
            "OpenAI's API of embeddings or moderations, with another path",
            "moderations at POST /v1/moderations",
        ),
        ("/v1/fine_tuning/jobs", "another API of OpenAI", "a second client"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "Google's Gemini API", "google-genai cannot be used"),
        ("/v1/models/gemini-2.5-flash:streamGenerateContent", "Google's Gemini API", "model such as gemini/"),
        ("/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent", "Google's Gemini API", "base URL"),
        ("/v2/chat", "Cohere's API", "model such as cohere/"),
        ("/model/amazon.nova-lite-v1%3A0/converse", "Amazon Bedrock's API", "model such as bedrock/"),
        ("/v1/chat/completions/", "a path with a slash at its end", "Remove the slash."),
        ("/v1/v1/chat/completions", "a path with another prefix", "and /v1: once"),
        ("/v1/chat/completions/chat/completions", "a path with another prefix", "without /chat/completions"),
    ],
)
async def test_a_path_of_another_api_says_what_to_do_instead(client: Client, path: str, api: str, advice: str) -> None:
    reply = await client.post(CALL, path)
    error = reply.json["error"]
    assert (reply.status, error["code"]) == (404, "not_found")
    assert error["message"].startswith(f"No such endpoint: {path!r}. It is {api}. ")
    assert SPOKEN in error["message"] and advice in error["message"]


async def test_a_known_path_with_a_prefix_is_named(client: Client) -> None:
    message = (await client.get("/v1/v1/quotas")).json["error"]["message"]
    assert message == "No such endpoint: '/v1/v1/quotas'. Did you mean '/v1/quotas'?"
    assert (await client.get("/v1/nothing")).json["error"]["message"] == "No such endpoint: '/v1/nothing'."


async def test_an_error_on_openrouters_paths_is_openrouters(client: Client) -> None:
    error = (await client.post(CALL, "/api/v1/nothing")).json["error"]
    assert (error["code"], error["metadata"]) == (404, {"error_type": "not_found"})
    assert (await client.post(CALL, "/api/v1/models")).json["error"]["code"] == 405


@pytest.mark.parametrize("path", ["/api/show", "/api/version"])
async def test_an_error_on_ollamas_paths_is_a_text(client: Client, path: str) -> None:
    reply = await client.post(CALL, path)
    assert reply.status == 404
    assert reply.json["error"].startswith(f"No such endpoint: {path!r}. It is Ollama's API. ")
    assert '"OpenAI-compatible" instead of Ollama' in reply.json["error"]


async def test_the_list_of_tags_without_a_key_is_refused_with_a_text(client: Client) -> None:
    reply = await client.get("/api/tags", authorization="")
    assert (reply.status, reply.json["error"][:26]) == (401, "This request has no API ke")


@pytest.mark.parametrize("path", ["/v1/files/file-x", "/v1/batches/batch_x", "/v1/nothing", "/v1/chat/completions"])
async def test_a_key_in_anthropics_header_does_not_change_the_form_of_errors(client: Client, path: str) -> None:
    error = (await client.get(path, **{"x-api-key": SECRET, "authorization": ""})).json["error"]
    assert error["code"] in {"not_found", "method_not_allowed", "not_configured"}


def test_the_models_in_the_advice_exist() -> None:
    named = re.findall(r"model such as ([\w./:-]+\w)", str(other_apis.advice_for.__globals__["_OTHER_APIS"]))
    assert len(named) >= 3
    assert [name for name in named if load_catalog().find_model(name) is None] == []


def test_a_long_path_takes_no_time() -> None:
    started = time.process_time()
    for repeated in ("/responses", "/messages", "/chat/completions", "/files"):
        assert other_apis.advice_for(repeated * 6000 + "\n", ()) is None
    assert time.process_time() - started < 0.05
