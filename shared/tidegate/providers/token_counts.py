"""Requests to count the tokens of a translated request, at the providers that count.

Sources, read in 2026-11: https://platform.claude.com/docs/en/api/messages/count_tokens,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html,
https://ai.google.dev/api/tokens, https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/get-token-count,
https://platform.openai.com/docs/api-reference/responses/input-tokens
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.providers.base import UpstreamRequest

_NOT_COUNTED = frozenset(
    {"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"}
    | {"container", "inference_geo", "fallbacks"}
)
"""Fields of a message that Anthropic's count refuses; others go on, also those that are not known."""

_CONVERSE_FIELDS = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_RESPONSES_FIELDS = (
    *("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls"),
    "truncation",
)
_CONVERSE = re.compile(r"/converse(?:-stream)?$")
_INVOKE = re.compile(r"/invoke(?:-with-response-stream)?$")
_GENERATE = re.compile(r":(?:streamGenerateContent\?alt=sse|generateContent)$")
_MODEL_PATH = re.compile(r"/((?:models|tunedModels)/[^/:]+):")


def count_request(provider: str, request: UpstreamRequest) -> UpstreamRequest | None:
    """Return the request that counts the tokens of `request`; None if the provider has no count for it."""
    count = _COUNTS.get(provider)
    body = decode_or_none(request.body)
    found = count(request.url, body) if count is not None and isinstance(body, dict) else None
    return None if found is None else replace(request, url=found[0], body=encode(found[1]))


def parse_count(body: Json | str) -> int | None:
    """Return the tokens in the reply of a provider; None if it has none."""
    match body:
        case {"input_tokens": int(tokens)} | {"inputTokens": int(tokens)} | {"totalTokens": int(tokens)}:
            return tokens
        case _:
            return None


def _anthropic(url: str, body: JsonObject) -> tuple[str, JsonObject] | None:
    return f"{url}/count_tokens", {name: value for name, value in body.items() if name not in _NOT_COUNTED}


def _bedrock(url: str, body: JsonObject) -> tuple[str, JsonObject] | None:
    if _CONVERSE.search(url):
        counted: JsonObject = {"converse": {name: body[name] for name in _CONVERSE_FIELDS if name in body}}
        return _CONVERSE.sub("/count-tokens", url), {"input": counted}
    if _INVOKE.search(url):
        counted = {"invokeModel": {"body": b64encode(encode(body)).decode()}}
        return _INVOKE.sub("/count-tokens", url), {"input": counted}
    return None


def _gemini(url: str, body: JsonObject) -> tuple[str, JsonObject] | None:
    model = _MODEL_PATH.search(url)
    if model is None or not _GENERATE.search(url):
        return None
    return _GENERATE.sub(":countTokens", url), {"generateContentRequest": {"model": model[1], **body}}


def _vertex(url: str, body: JsonObject) -> tuple[str, JsonObject] | None:
    return (_GENERATE.sub(":countTokens", url), body) if _GENERATE.search(url) else None


def _openai(url: str, body: JsonObject) -> tuple[str, JsonObject] | None:
    if not url.endswith("/responses"):
        return None
    return f"{url}/input_tokens", {name: body[name] for name in _RESPONSES_FIELDS if name in body}


_COUNTS: Mapping[str, Callable[[str, JsonObject], tuple[str, JsonObject] | None]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "gemini": _gemini,
    "vertex": _vertex,
    "openai": _openai,
}
