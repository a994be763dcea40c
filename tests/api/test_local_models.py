"""The models of servers on this machine in the lists of models."""

import itertools
import json
from collections.abc import Callable

import httpx
import pytest

from tests.world import Client, world
from tidegate.upstream import local_models

PORTS = itertools.count(20_000)
LISTED = {"object": "list", "data": [{"id": "qwen3:8b", "created": 1_700_000_000}, {"id": "llama3"}, {"no": "id"}]}


def address() -> str:
    """The address of a server of its own: lists are cached by address."""
    return f"http://127.0.0.1:{next(PORTS)}/v1"


def lists(body: object, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, json=body)


async def ids(client: Client, path: str = "/v1/models") -> list[str]:
    reply = await client.get(path, **{"x-workspace-id": "ws_test"})
    listed = reply.json if isinstance(reply.json, list) else reply.json["data"]
    return [model["id"] for model in listed if model["id"].startswith("ollama/")]


async def test_models_of_a_local_server_are_listed() -> None:
    async with world(lists(LISTED), OLLAMA_BASE_URL=(url := address()), OLLAMA_API_KEY="local-key") as client:
        assert await ids(client) == ["ollama/llama3", "ollama/qwen3:8b"]
        (asked,) = client.requests
        assert (asked.method, str(asked.url), asked.headers["authorization"]) == (
            "GET",
            f"{url}/models",
            "Bearer local-key",
        )
        assert await ids(client, "/api/ds-prototypes/model_selection/models") == ["ollama/llama3", "ollama/qwen3:8b"]
        listed = (await client.get("/v1/models")).json
        entry = next(model for model in listed["data"] if model["id"] == "ollama/qwen3:8b")
        assert (entry["owned_by"], entry["created"], entry["pricing"]) == (
            "ollama",
            1_700_000_000,
            {"prompt": "-1", "completion": "-1"},
        )
        assert (await client.get("/v1/models/count")).json["data"]["count"] == listed["total_count"]
        assert await ids(client, "/v1/models?input=image") == []
        assert await ids(client, "/public/models") == []
        assert len(client.requests) == 1  # for a minute


@pytest.mark.parametrize(
    "body",
    [{}, [], {"data": {}}, {"data": ["x", {"id": ""}, {"id": "x" * 300}, {"id": "a\nb"}, {"id": 1}]}, "x" * 2_000_000],
)
async def test_a_server_that_answers_something_else_has_no_models(body: object) -> None:
    async with world(lists(body), OLLAMA_BASE_URL=address()) as client:
        assert await ids(client) == []
        assert len(client.requests) == 1


async def test_a_server_that_is_down_has_no_models_and_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with world(down, OLLAMA_BASE_URL=address()) as client:
        assert (await ids(client), await ids(client), len(client.requests)) == ([], [], 1)
        monkeypatch.setattr(local_models, "EMPTY_SECONDS", 0.0)
        assert (await ids(client), len(client.requests)) == ([], 2)


async def test_at_most_so_many_models_are_read() -> None:
    many = {"data": [{"id": f"m{number}"} for number in range(local_models.MAX_MODELS + 1)]}
    async with world(lists(many), OLLAMA_BASE_URL=address()) as client:
        assert len(await ids(client)) == local_models.MAX_MODELS


async def test_declared_models_are_listed_instead() -> None:
    entry = {"name": "ollama", "base_url": address(), "key": None, "models": [{"name": "qwen3"}]}
    async with world(lists(LISTED), TIDEGATE_PROVIDERS=json.dumps([entry])) as client:
        assert (await ids(client), client.requests) == (["ollama/qwen3"], [])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:11434/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://host.docker.internal:1234/v1", True),
        ("http://10.0.0.5:8000/v1", False),
        ("http://169.254.169.254/v1", False),
        ("http://vllm.internal/v1", False),
        ("https://api.example.com/v1", False),
        ("http://[::1/v1", False),
        ("", False),
    ],
)
def test_only_servers_of_this_machine_are_asked(url: str, expected: bool) -> None:
    assert local_models.is_local(url) is expected
