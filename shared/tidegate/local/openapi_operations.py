"""Titles, descriptions and examples of the OpenAPI document's operations: the demo tenant can try each example."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

Schema: TypeAlias = dict[str, object]

EXAMPLE_MODEL, EXAMPLE_WORKSPACE = "demo/echo", "ws_demo"

EXAMPLE_CALL: Schema = {"model": EXAMPLE_MODEL, "messages": [{"role": "user", "content": "Hello, tide."}]}

_BODIES: dict[str, Schema] = {
    "/messages": {**EXAMPLE_CALL, "max_tokens": 100},
    "/responses": {"model": EXAMPLE_MODEL, "input": "Hello, tide."},
    "/responses/compact": {"model": EXAMPLE_MODEL, "input": "Hello, tide."},
    "/chat/completions": EXAMPLE_CALL,
    "/api/chat": {**EXAMPLE_CALL, "stream": False},
    "/api/generate": {"model": EXAMPLE_MODEL, "prompt": "Hello, tide.", "stream": False},
    "/api/embed": {"model": "demo/embed", "input": "Hello, tide."},
    "/completions": {"model": EXAMPLE_MODEL, "prompt": "Hello, tide."},
}
"""The examples of other dialects, by how their paths end."""

_VECTOR_MODEL = "demo/embed"
_EXAMPLES = {
    "model_id": EXAMPLE_MODEL,
    "deployment": EXAMPLE_MODEL,
    "workspace_id": EXAMPLE_WORKSPACE,
    "x-workspace-id": EXAMPLE_WORKSPACE,
}
"""Values of required parameters."""

_PREFIX = re.compile(r"^(/api/v1|/openai/v1|/v1|/openai)(?=/)")
"""The bases that different clients use for one path."""

_OPERATIONS: Mapping[str, tuple[str, str, str]] = {
    "/chat/completions": (
        "chat",
        "Create a chat completion",
        "Ask a model, which is `provider/model` or a route. With `stream`, the reply comes as events.",
    ),
    "/deployments/{deployment}/chat/completions": (
        "chat",
        "Create a chat completion, as Azure's clients do",
        "The deployment in the path is the model; the query's `api-version` is not read.",
    ),
    "/api/ds-prototypes/chat/completions": (
        "chat",
        "Create a chat completion, as neuroflash's clients do",
        "The header `x-workspace-id` is required.",
    ),
    "/api/ds-prototypes/content_generation/chat/completions": (
        "chat",
        "Create a chat completion for content generation",
        "As `/api/ds-prototypes/chat/completions`.",
    ),
    "/messages": (
        "chat",
        "Create a message, as Anthropic's clients do",
        "The Messages API in front of every provider. With `stream`, the reply comes as Anthropic's events.",
    ),
    "/completions": (
        "chat",
        "Create a text completion",
        "OpenAI's legacy API: a chat model answers the prompt, which is sent as a message of the user.",
    ),
    "/deployments/{deployment}/completions": (
        "chat",
        "Create a text completion, as Azure's clients do",
        "The deployment in the path is the model; the query's `api-version` is not read.",
    ),
    "/embeddings": (
        "texts",
        "Create embeddings",
        "Turn a text, a list of texts or their tokens into vectors. A list that is too long for its provider is split.",
    ),
    "/rerank": ("texts", "Rank documents", "Order documents by their relevance to a query, in Cohere's form."),
    "/v2/rerank": ("texts", "Rank documents, as Cohere's clients do", "As `/v1/rerank`."),
    "/moderations": ("texts", "Judge texts", "Tell whether texts are harmful, and in which way."),
    "/deployments/{deployment}/embeddings": (
        "texts",
        "Create embeddings, as Azure's clients do",
        "The deployment in the path is the model; the query's `api-version` is not read.",
    ),
    "/messages/count_tokens": (
        "chat",
        "Count the tokens of a message",
        "The count of the provider, or an estimate that is hardly ever too low. Nothing is answered or charged.",
    ),
    "/responses": (
        "chat",
        "Create a response, as Codex and OpenAI's agents do",
        "OpenAI's Responses API in front of every provider. With `stream`, the reply comes as OpenAI's events.",
    ),
    "/responses/compact": (
        "chat",
        "Compact a conversation",
        "A model summarises the items, or a stored response; the output replaces them in a later request.",
    ),
    "/models": (
        "models",
        "List the models",
        "The routes and the models of all configured providers, with OpenRouter's fields and prices for one token.",
    ),
    "/models/user": ("models", "List the models, as OpenRouter's clients do", "As `/v1/models`."),
    "/models/count": ("models", "Count the models", "OpenRouter's count of the models that the filters keep."),
    "/models/{model_id}": ("models", "Show a model", "One entry of the list of models: a route or a known model."),
    "/model/{model_id}": (
        "models",
        "Show a model, as OpenRouter's clients do",
        "As `/v1/models/{model_id}`, in `data`.",
    ),
    "/api/chat": (
        "chat",
        "Create a chat completion, as Ollama's clients do",
        "Ollama's chat in front of every provider. It streams objects on lines of their own unless `stream` is false.",
    ),
    "/api/generate": ("chat", "Complete a prompt, as Ollama's clients do", "As `/api/chat`, with one prompt."),
    "/api/embed": ("texts", "Create embeddings, as Ollama's clients do", "A vector for each text."),
    "/api/tags": ("models", "List the models, as Ollama's clients do", "The routes and the chat models."),
    "/public/models": ("models", "List the models without a key", "Lunos's array, with prices for a million tokens."),
    "/api/ds-prototypes/model_selection/models": (
        "models",
        "List the models, as neuroflash's clients do",
        "A JSON list, in neuroflash's format. The header `x-workspace-id` is required.",
    ),
    "/health": ("health", "Check the health", "Answers while the process runs. It needs no key."),
    "/api/ds-prototypes/health": ("health", "Check the health, as neuroflash's clients do", "As `/health`."),
    "/usage": ("account", "Report the usage", "The workspace's counters by day, of this month until today by default."),
    "/quotas": ("account", "List the limits", "Each limit of the workspace and the key: used, held and available."),
    "/balance": ("account", "Show the balance", "What is left of the budget in USD, in Lunos's format."),
    "/account": ("account", "Show the account", "The workspace, in Lunos's format."),
    "/credits": ("account", "Show the credits", "The budget in USD and what is used of it, in OpenRouter's format."),
    "/key": ("account", "Show the key", "The key's limits and usage in USD, in OpenRouter's format."),
    "/auth/key": ("account", "Show the key, by its older path", "As `/v1/key`."),
    "/generation": ("account", "Show a call", "The record of the call with this `id`, in OpenRouter's format."),
    "/generations/{generation_id}": ("account", "Show a call by its id", "As `/v1/generation`, without `data`."),
    "/generations/{generation_id}/trace": (
        "account",
        "Show the trace of a call",
        "The content of a call with this key, where it was kept: the request, each attempt, and the answer.",
    ),
    "/chat/generation/{generation_id}": ("account", "Show a call, as Lunos's clients do", "The record of the call."),
    "/api/workspace-service/v1/workspaces": (
        "account",
        "List the workspaces",
        "The workspaces that the key may use, in neuroflash's format.",
    ),
    "/api/usage-service/v1/workspaces/{workspace_id}/quotas": (
        "account",
        "List the limits of a workspace",
        "Its limits and what is used of them, in neuroflash's format.",
    ),
}


def describe_operations(paths: Schema) -> Schema:
    """Return the paths with a title, a description, and examples for "Try it out"."""
    return {
        path: {method: _describe(path, operation) for method, operation in cast("dict[str, Schema]", methods).items()}
        for path, methods in paths.items()
    }


def _describe(path: str, operation: Schema) -> Schema:
    tag, summary, description = _OPERATIONS[path if path in _OPERATIONS else _PREFIX.sub("", path)]
    described = {**operation, "tags": [tag], "summary": summary, "description": description}
    described["parameters"] = list(_with_examples(cast("list[Schema]", operation["parameters"]), tag))
    if "requestBody" in operation:
        body = cast("dict[str, dict[str, Schema]]", operation["requestBody"])
        example = next((call for end, call in _BODIES.items() if path.endswith(end)), EXAMPLE_CALL)
        media = {"example": example, **body["content"]["application/json"]}
        described["requestBody"] = {**body, "content": {"application/json": media}}
    return described


def _with_examples(parameters: list[Schema], tag: str) -> Iterator[Schema]:
    examples = {**_EXAMPLES, "deployment": _VECTOR_MODEL} if tag == "texts" else _EXAMPLES
    for parameter in parameters:
        name = str(parameter["name"])
        yield {**parameter, "example": examples[name]} if parameter.get("required") and name in examples else parameter
