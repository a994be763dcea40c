"""Recorded exchanges beside the repository: data that tests read and never keep."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tidegate.providers import Registry
from tidegate.providers.base import Provider
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.provider import OpenAI

FOLDER = Path(__file__).parents[2].parent / "shared" / "recordings"
FOREIGN = ("bedrock", "gemini")
"""Providers with a dialect of their own that were also recorded speaking OpenAI's."""

PROVIDERS = (
    *("azure", "cerebras", "crusoe", "deepseek", "gpustack", "groq", "huggingface", "mistral", "ollama", "openai"),
    *("openrouter", "perplexity", "snowflake", "zai"),
    *FOREIGN,
)

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded exchanges are not beside the repository")


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
    """Every recorded exchange with that provider."""
    return tuple(_read(FOLDER / f"{provider}.jsonl.gz"))


def _read(path: Path) -> Iterator[Exchange]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            headers = {name.lower(): value for name, value in (raw["headers"] or {}).items()}
            kept = {name: raw[name] for name in ("id", "provider", "endpoint", "status", "kind", "request", "body")}
            yield Exchange(model=raw["model"] or "", headers=headers, **kept)


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
