"""Every part of the cases' replies, replaced by something that no document allows: nothing crashes.

A reply that official SDKs accept reaches the caller: whatever is wrong with one field, the gateway never fails in a way
of its own, and a text beside the broken field arrives.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from tests.providers.assembling import run
from tests.providers.calls import CASES
from tests.upstream.frames import framed
from tidegate.errors import UpstreamError
from tidegate.providers import Registry
from tidegate.providers.base import Provider, StreamEvent
from tidegate.upstream.eventstream import EventStreamDecoder
from tidegate.upstream.sse import SseDecoder

JUNK: tuple[Any, ...] = (None, "junk", -1.5, [None], [["junk"]], {"junk": None})
WHOLE = sorted(path.parent for path in CASES.glob("*/*/upstream.json") if not (path.parent / "head.json").exists())
STREAMS = sorted(path.parent for name in ("sse", "eventstream") for path in CASES.glob(f"*/*/upstream.{name}"))

_registry = Registry()


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    items: Any = ()
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
    for key, inner in items:
        yield (key,)
        yield from ((key, *rest) for rest in places(inner))


def broken(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """A copy of `value` with `junk` at `path`."""
    copied = deepcopy(value)
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return copied


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


@pytest.mark.parametrize("folder", WHOLE, ids=name_of)
def test_a_broken_field_of_a_whole_reply_crashes_nothing(folder: Path) -> None:
    provider = _registry.load(folder.parent.name)
    body = json.loads((folder / "upstream.json").read_text())
    for path in places(body):
        for junk in JUNK:
            changed = broken(body, path, junk)
            before = deepcopy(changed)
            try:
                reply: Any = provider.parse_completion(changed)
            except UpstreamError:
                pass
            else:
                assert reply["choices"]
                assert all(isinstance(choice["message"]["content"], str | None) for choice in reply["choices"])
            assert changed == before, "a provider's reply is never changed"


@pytest.mark.parametrize("folder", STREAMS, ids=name_of)
def test_a_broken_field_of_a_stream_crashes_nothing(folder: Path) -> None:
    provider = _registry.load(folder.parent.name)
    events = _events(folder)
    shapes: set[tuple[Any, ...]] = set()
    for position, event in enumerate(events):
        try:
            raw: Any = json.loads(event.data)
        except ValueError:
            continue
        for path in places(raw):
            shape = (event.type, raw.get("type"), *path)
            if shape in shapes:
                continue
            shapes.add(shape)
            for junk in JUNK:
                changed = StreamEvent(event.type, json.dumps(broken(raw, path, junk)))
                with suppress(UpstreamError):
                    run(provider, [[*events[:position], changed, *events[position + 1 :]]])


ENVELOPE = frozenset(
    {"id", "object", "created", "model", "system_fingerprint", "usage", "index", "finish_reason", "logprobs", "role"}
    | {"stop_reason", "stop_sequence", "stopReason", "metrics", "finishReason", "usageMetadata", "responseId"}
    | {"modelVersion", "annotations", "refusal", "service_tier", "provider"}
)


@pytest.mark.parametrize("provider_name", ["openai", "azure", "anthropic", "bedrock", "cohere", "gemini"])
def test_a_text_arrives_whatever_is_wrong_beside_it(provider_name: str) -> None:
    provider, folder = _registry.load(provider_name), CASES / provider_name / "text"
    body = json.loads((folder / "upstream.json").read_text())
    text = _text(provider, body)
    assert text
    for path in places(body):
        if path[-1] in ENVELOPE and len(path) < 6:
            for junk in JUNK:
                assert _text(provider, broken(body, path, junk)) == text, (path, junk)


def _text(provider: Provider, body: Any) -> str | None:
    return provider.parse_completion(body)["choices"][0]["message"]["content"]


def _events(folder: Path) -> list[StreamEvent]:
    if (folder / "upstream.sse").exists():
        decoder = SseDecoder()
        return [*decoder.feed((folder / "upstream.sse").read_bytes()), *decoder.end()]
    frames = EventStreamDecoder()
    return [*frames.feed(framed((folder / "upstream.eventstream").read_text())), *frames.end()]
