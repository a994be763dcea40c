"""Exchanges with providers: recorded ones beside the repository, or in their place a sample written by hand."""

import gzip
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.upstream import frames
from tidegate.providers import Registry
from tidegate.providers.base import Provider
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.provider import OpenAI

FOLDER = Path(os.environ.get("TIDEGATE_RECORDINGS", Path(__file__).parents[2].parent / "shared" / "recordings"))
SAMPLE = Path(__file__).parent / "sample"
COMPLETE = FOLDER.is_dir()
"""True with all recordings; False with the sample alone, where numbers of exchanges are other ones."""

MISSING = "The recordings are not beside the repository"
"""How the reason of a skipped test begins; `conftest.py` counts them."""

FOREIGN = ("bedrock", "gemini")
"""Providers with a dialect of their own that were also recorded speaking OpenAI's."""

PROVIDERS = (
    *("azure", "cerebras", "crusoe", "deepseek", "gpustack", "groq", "huggingface", "mistral", "ollama", "openai"),
    *("openrouter", "perplexity", "snowflake", "zai"),
    *FOREIGN,
)

all_needed = pytest.mark.skipif(not COMPLETE, reason=f"{MISSING}: this test pins numbers over all of them.")


@dataclass(frozen=True)
class Exchange:
    id: str
    provider: str
    endpoint: str
    model: str
    status: int
    kind: str
    headers: dict[str, str]
    request: Any
    body: Any

    @property
    def streams(self) -> bool:
        return self.kind == "sse"


@lru_cache(maxsize=2)
def exchanges(provider: str) -> tuple[Exchange, ...]:
    """Every exchange with that provider. Skips the test where the provider has no sample in place of its recordings."""
    if COMPLETE:
        return tuple(_recorded(FOLDER / f"{provider}.jsonl.gz"))
    path = SAMPLE / f"{provider}.json"
    if not path.exists():
        pytest.skip(f"{MISSING}: {provider} has no sample.")
    return tuple(sample(provider))


def sample(provider: str) -> Iterator[Exchange]:
    """The exchanges of the sample, a reply's `events` framed as the provider does it."""
    for raw in json.loads((SAMPLE / f"{provider}.json").read_text()):
        kind, body = _framed(provider, raw["events"]) if "events" in raw else ("json", raw["body"])
        fields = {name: raw[name] for name in ("id", "endpoint", "model", "status", "request")}
        yield Exchange(provider=provider, kind=kind, headers={}, body=body, **fields)


def _framed(provider: str, events: list[dict[str, Any]]) -> tuple[str, str]:
    if provider == "bedrock":
        stream = b"".join(frames.event(name, body) for event in events for name, body in event.items())
        return "eventstream_b64", b64encode(stream).decode()
    lines = ""
    for event in events:
        name = f"event: {event['type']}\n" if "type" in event else ""
        lines += f"{name}data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"
    return "sse", lines + ("data: [DONE]\n\n" if provider in ("openai", "cohere") else "")


def _recorded(path: Path) -> Iterator[Exchange]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            headers = {name.lower(): value for name, value in (raw["headers"] or {}).items()}
            fields = {name: raw[name] for name in ("id", "provider", "endpoint", "status", "kind", "request", "body")}
            yield Exchange(model=raw["model"] or "", headers=headers, **fields)


def chats(provider: str, *, streams: bool) -> list[Exchange]:
    """The chat completions of that provider that it answered with a 200."""
    return [
        one
        for one in exchanges(provider)
        if one.endpoint == "chat/completions" and one.status == 200 and one.streams is streams
    ]


def dialect(provider: str) -> Provider:
    """The provider as its row describes it; foreign ones as an unknown host of the dialect."""
    return OpenAI(Row(provider, "https://host.invalid/v1")) if provider in FOREIGN else Registry().load(provider)
