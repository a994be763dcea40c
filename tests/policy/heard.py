"""Recorded requests, as callers of ours would write them, and the tokens that their providers say they took."""

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.providers.asking_anthropic import asked, is_translatable
from tests.providers.assembling import run
from tests.providers.converse import as_openai
from tests.providers.recorded import PROVIDERS, Exchange, dialect, exchanges
from tidegate.chat.messages import count_media
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.errors import InvalidRequest, UpstreamError
from tidegate.json import Json
from tidegate.providers import Registry
from tidegate.providers.base import Provider, StreamEvent
from tidegate.upstream.eventstream import EventStreamDecoder
from tidegate.upstream.sse import SseDecoder


@dataclass(frozen=True)
class Heard:
    """One call that was answered: what was asked for, and the tokens of it and of the answer."""

    exchange: Exchange
    request: ChatRequest
    input: int
    output: int

    @property
    def kind(self) -> str:
        """ "search" where the provider reads what it finds, which nobody can know; else "media", "tools" or "text"."""
        fields, body = self.request.fields, self.exchange.request
        hosted = any(tool.type != "function" for tool in fields.tools or ()) or "compound" in self.exchange.model
        if hosted or any(body.get(name) for name in _READS) or self.exchange.model.endswith(":online"):
            return "search"
        if count_media(fields.messages):
            return "media"
        return "tools" if fields.tools or fields.functions else "text"


_READS = ("plugins", "mcp_servers", "web_search_options")


def heard() -> Iterator[Heard]:
    """In OpenAI's dialect by sixteen providers, in Anthropic's, and in Converse's."""
    for name in PROVIDERS:
        yield from _read(name, dialect(name), ("chat/completions",))
    yield from _read("anthropic", Registry().load("anthropic"), ("messages",))
    yield from _read("bedrock", Registry().load("bedrock"), ("converse", "converse-stream"))


def _read(name: str, translator: Provider, endpoints: tuple[str, ...]) -> Iterator[Heard]:
    for one in exchanges(name):
        if one.endpoint not in endpoints or one.status != 200:
            continue
        try:
            body, usage = _body(one), _usage(translator, one)
            request = build_chat_request(body) if body else None
        except (InvalidRequest, UpstreamError, KeyError):
            continue  # what a caller cannot write, or a broken reply
        if request and usage and usage.get("prompt_tokens"):
            yield Heard(one, request, usage["prompt_tokens"], usage.get("completion_tokens") or 0)


def _body(one: Exchange) -> Json:
    match one.endpoint:
        case "chat/completions":
            return one.request
        case "messages":
            return asked(one.request) if is_translatable(one.request) else None
        case _:
            return as_openai(one.request) if one.request else None


def _usage(translator: Provider, one: Exchange) -> Any:
    match one.kind:
        case "json":
            return translator.parse_completion(one.body).get("usage")
        case "eventstream_b64":
            return streamed(translator, EventStreamDecoder().feed(b64decode(one.body)))
        case _:
            return streamed(translator, events(one))


def streamed(translator: Any, found: Any) -> Any:
    usages = [chunk["usage"] for batch in run(translator, [found]) for chunk in batch if chunk.get("usage")]
    return usages[-1] if usages else None


def events(one: Exchange) -> list[StreamEvent]:
    if isinstance(one.body, list):
        return [StreamEvent("message", json.dumps(each)) for each in one.body]
    decoder = SseDecoder()
    return [*decoder.feed(one.body.encode()), *decoder.end()]
