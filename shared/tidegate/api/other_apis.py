"""Paths of other APIs: which API a client has asked for, and what to set in it instead.

Sources: the documents of these APIs, and the paths that their clients were seen to ask for (2026-11).
"""

import re
from collections.abc import Iterable

_SPOKEN = (
    "This gateway speaks OpenAI's chat completions (POST /v1/chat/completions), Responses, and Anthropic's Messages."
)
_USE_OPENAI = "Use an OpenAI client, with the gateway's address and /v1 as its base URL"

MAX_PATH = 300
"""Longer paths get no advice: some patterns take quadratic time."""

_VERSION = r"(?:/v\d+(?:alpha|beta)?\d*)?"

_OTHER_APIS: tuple[tuple[str, str, str], ...] = (
    (
        r".*/chat/completions/",
        "a path with a slash at its end",
        "Remove the slash.",
    ),
    (
        r".+/chat/completions",
        "a path with another prefix",
        "Set the client's base URL to the gateway's address and /v1: once, and without /chat/completions.",
    ),
    (
        r".*:(?:streamGenerateContent|generateContent|countTokens|batchEmbedContents|embedContent|predict\w*)"
        r"|/v1(?:beta|alpha)\d*/.*|.*/publishers/.*",
        "Google's Gemini API",
        f"{_USE_OPENAI} and a model such as gemini/gemini-2.5-flash: google-genai cannot be used. "
        "In the AI SDK, replace @ai-sdk/google by @ai-sdk/openai-compatible.",
    ),
    (
        r".*/messages/batches.*",
        "Anthropic's API of batches",
        "Send lines for /v1/chat/completions in a batch of OpenAI's API: POST /v1/files and /v1/batches.",
    ),
    (
        r".+/messages(?:/count_tokens)?|.*/v1/complete",
        "Anthropic's API, with another prefix",
        "Set ANTHROPIC_BASE_URL to the gateway's address, without /v1: messages are at POST /v1/messages.",
    ),
    (
        r".*/responses(?:/.*)?",
        "OpenAI's Responses API, with another prefix",
        "Set the client's base URL to the gateway's address and /v1: responses are at POST /v1/responses.",
    ),
    (
        r"/api/(?:chat|generate|tags|show|ps|version|pull|embed|embeddings)",
        "Ollama's API",
        'Only POST /api/chat, /api/generate, /api/embed and GET /api/tags are here. Choose "OpenAI-compatible" instead '
        "of Ollama in the client, with the gateway's address and /v1 as base URL.",
    ),
    (
        r"/v[12]/chat|/v[12]/(?:embed|rerank|classify|tokenize|detokenize|summarize)|.*/rerank",
        "Cohere's API",
        f"{_USE_OPENAI} and a model such as cohere/command-a-03-2025: Cohere's SDK cannot be used.",
    ),
    (
        r"/model/[^/]+/(?:converse|converse-stream|invoke|invoke-with-response-stream)",
        "Amazon Bedrock's API",
        f"{_USE_OPENAI} and a model such as bedrock/amazon.nova-lite-v1:0: boto3 cannot be used.",
    ),
    (
        r".*/fim/completions",
        "Mistral's fill-in-the-middle API",
        "It has no replacement here: ask a chat model to complete the text.",
    ),
    (
        rf"{_VERSION}(?:/engines/[^/]+|/openai/deployments/.+)?/completions|/generate(?:_stream)?|/invocations",
        "an API of text completions",
        "OpenAI's are at POST /v1/completions. Or call the chat completions, with the prompt as a message of the user: "
        "client.chat.completions.create in OpenAI's SDKs.",
    ),
    (
        r".*/(?:embeddings|moderations)(?:/.*)?",
        "OpenAI's API of embeddings or moderations, with another path",
        "Embeddings are at POST /v1/embeddings, moderations at POST /v1/moderations: set the client's base URL to the "
        "gateway's address and /v1.",
    ),
    (
        r".*/images?/(?:generations|edits|variations)|.*/videos?(?:/.*)?",
        "an API that makes images or videos",
        'Set the provider of images apart from the one of chat, or ask a model that answers with images: "modalities": '
        '["image", "text"].',
    ),
    (
        r".*/audio/(?:speech|transcriptions|translations|generations|voices)",
        "OpenAI's audio API",
        "Set the provider of speech apart from the one of chat, or send audio in the messages of a chat.",
    ),
    (
        r".*/(?:assistants|threads|runs|vector_stores|conversations|realtime|fine_tuning"
        r"|evals|containers)(?:/.*)?",
        "another API of OpenAI",
        "Call that API at OpenAI itself, with a second client.",
    ),
)
"""Patterns of whole paths, the API that has them, and what to do instead. The first pattern that matches counts."""

_COMPILED = [(re.compile(pattern), name, advice) for pattern, name, advice in _OTHER_APIS]


def advice_for(path: str, known_paths: Iterable[str]) -> str | None:
    """Return what the path belongs to and what to do instead; None if it is unknown.

    A path that ends like one of `known_paths` has a wrong prefix, such as /v1/v1/models.
    """
    if len(path) > MAX_PATH:
        return None
    for pattern, name, advice in _COMPILED:
        if pattern.fullmatch(path):
            return f"It is {name}. {_SPOKEN} {advice}"
    known = max((known for known in known_paths if path.rstrip("/").endswith(known)), key=len, default=None)
    return None if known is None else f"Did you mean {known!r}?"
