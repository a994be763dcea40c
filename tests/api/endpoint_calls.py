"""A valid request for each endpoint that makes calls, and a provider that answers all of them."""

from typing import Any

import httpx

from tests.world import USER, completion
from tidegate.api.app import ENDPOINTS

_TEXT = "Write a tagline for an AI content platform."
_MESSAGES: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 50}

_BODIES: dict[str, dict[str, Any]] = {
    "openai": _MESSAGES,
    "openrouter": _MESSAGES,
    "messages": _MESSAGES,
    "neuroflash": _MESSAGES,
    "responses": {"model": "openai/gpt-4.1-mini", "input": _TEXT},
    "compaction": {"model": "openai/gpt-4.1-mini", "input": _TEXT},
    "ollama": {**_MESSAGES, "stream": False},
    "ollama_generate": {"model": "openai/gpt-4.1-mini", "prompt": _TEXT, "stream": False},
    "completions": {"model": "openai/gpt-4.1-mini", "prompt": _TEXT, "max_tokens": 50},
    "embeddings": {"model": "openai/text-embedding-3-small", "input": _TEXT},
    "rerank": {"model": "cohere/rerank-v3.5", "query": "tide", "documents": ["A gate.", "A fish."]},
    "moderations": {"model": "openai/omni-moderation-latest", "input": _TEXT},
}
"""Requests by the name of the endpoint's operation, or of its surface for a chat."""

_ANSWERS: dict[str, dict[str, Any]] = {
    "responses": {
        **{"id": "resp_1", "object": "response", "status": "completed"},
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}],
        "usage": {"input_tokens": 14, "output_tokens": 12, "total_tokens": 26},
    },
    "embeddings": {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 9, "total_tokens": 9}},
    "rerank": {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
    "moderations": {"results": [{"flagged": False, "categories": {}, "category_scores": {}}]},
}
"""Replies by the last part of the provider's path."""

PROVIDER_KEYS = {"COHERE_API_KEY": "not-a-key"}
"""The keys that the requests need besides those of `tests.world`."""


def valid_body(path: str) -> dict[str, Any]:
    """Return a request for the path, which makes a call, counts the tokens of one, or does not read the request."""
    counted = path.removesuffix("/input_tokens").removesuffix("/count_tokens")
    surface, operation = ENDPOINTS.get(counted, ENDPOINTS["/v1/chat/completions"])
    return _BODIES[surface.name if operation.name == "chat" else operation.name]


def answer(request: httpx.Request) -> httpx.Response:
    """Answer like the provider of any of the requests."""
    return httpx.Response(200, json=_ANSWERS.get(request.url.path.rpartition("/")[2]) or completion())
