"""Vectors, verdicts and text completions with unmodified SDKs, of the demo provider."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI

from tests.clients.programs import printed
from tests.clients.world import DEMO_KEY, Server

pytestmark = pytest.mark.slow

MODEL = "demo/embed"
INPUT = ["The tide opens the gate.", "Fish swim."]


@pytest.fixture
def client(running_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=running_server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as made:
        yield made


def near(vector: Any) -> Any:
    return pytest.approx(vector, abs=1e-6)


def test_the_sdk_of_python_decodes_base64_by_default_and_reads_numbers(client: OpenAI) -> None:
    encoded = client.embeddings.create(model=MODEL, input=INPUT)
    plain = client.embeddings.create(model=MODEL, input=INPUT, encoding_format="float")
    vectors = [entry.embedding for entry in plain.data]
    assert [len(vector) for vector in vectors] == [8, 8]
    assert [entry.embedding for entry in encoded.data] == [near(vector) for vector in vectors]
    assert [entry.index for entry in encoded.data] == [0, 1]
    assert (encoded.model, encoded.usage.prompt_tokens, encoded.usage.total_tokens) == (MODEL, 7, 7)


def test_many_calls_at_once_and_a_long_list(running_server: Server) -> None:
    async def ask() -> list[int]:
        async with AsyncOpenAI(base_url=running_server.url, api_key=DEMO_KEY) as client:
            replies = await asyncio.gather(
                *(client.embeddings.create(model=MODEL, input=INPUT * n) for n in (1, 9, 999))
            )
            return [len(reply.data) for reply in replies]

    assert asyncio.run(ask()) == [2, 18, 1998]


def test_a_refusal_has_the_sdks_class(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.embeddings.create(model=MODEL, input=["a", ""])
    assert (refused.value.code, refused.value.param) == ("invalid_request", "input[1]")


def test_legacy_completions_whole_and_streamed(client: OpenAI) -> None:
    whole = client.completions.create(model="demo/echo", prompt="Hello, tide.", max_tokens=50)
    stream = client.completions.create(model="demo/echo", prompt="Hello, tide.", max_tokens=50, stream=True)
    assert "".join(choice.text for chunk in stream for choice in chunk.choices) == whole.choices[0].text
    assert (whole.object, whole.choices[0].finish_reason) == ("text_completion", "stop")
    assert "tide" in whole.choices[0].text


def test_moderations(client: OpenAI) -> None:
    reply = client.moderations.create(model="demo/moderation", input=["calm", "harm"])
    assert [result.flagged for result in reply.results] == [False, True]


def test_rerank_in_coheres_form(running_server: Server) -> None:
    body = {"model": "demo/rerank", "query": "What opens the gate?", "documents": INPUT[::-1], "return_documents": True}
    headers = {"authorization": f"Bearer {DEMO_KEY}"}
    reply = httpx.post(f"{running_server.root}/v2/rerank", json=body, headers=headers).json()
    assert [(result["index"], result["document"]["text"]) for result in reply["results"]] == [
        (1, INPUT[0]),
        (0, INPUT[1]),
    ]


def test_openai_node_and_the_ai_sdk(running_server: Server) -> None:
    seen = printed("embeddings.mjs", running_server.url, DEMO_KEY, MODEL)
    assert seen["base64"] == [near(vector) for vector in seen["float"]]
    assert (seen["one"], seen["many"]) == (seen["float"][0], seen["float"])
    assert (seen["tokens"], seen["flagged"]) == (7, True)
    assert "tide" in seen["completion"]
