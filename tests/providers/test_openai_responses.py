"""OpenAI's Responses API behind chat completions: when it is asked, and that both ends fit the official SDK's types."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from tests.providers.assembling import read_chunks, read_completion
from tests.providers.calls import CASES, asking, call, sent
from tests.providers.streams import translated
from tidegate.chat.assemble import CompletionAssembler
from tidegate.domain.deployment import Deployment
from tidegate.errors import ProviderMalformed, StreamCut, UpstreamError
from tidegate.providers import Registry
from tidegate.providers.base import StreamEvent
from tidegate.providers.openai_responses import completion, stream
from tidegate.upstream.sse import SseDecoder

FOLDERS = sorted(path.parent for path in CASES.glob("*/responses_*/sent.json"))
WHOLE = [folder for folder in FOLDERS if (folder / "upstream.json").exists() and not (folder / "head.json").exists()]
STREAMED = [folder for folder in FOLDERS if (folder / "upstream.sse").exists()]
GOOD = [folder for folder in STREAMED if isinstance(json.loads((folder / "reply.json").read_text()), list)]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SEARCH = {"type": "web_search"}


def name_of(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def events_of(folder: Path) -> list[StreamEvent]:
    decoder = SseDecoder()
    return [*decoder.feed((folder / "upstream.sse").read_bytes()), *decoder.end()]


def parse(batches: Sequence[Sequence[StreamEvent]]) -> list[Any]:
    return [chunk for batch in translated(stream.new_stream("openai"), batches) for chunk in batch]


def as_lists(value: Any) -> Any:
    """The value with pydantic's lazy iterables as lists."""
    if isinstance(value, dict):
        return {name: as_lists(inner) for name, inner in value.items()}
    return value if isinstance(value, str) or not hasattr(value, "__iter__") else [as_lists(inner) for inner in value]


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_what_is_sent_fits_the_official_types(folder: Path) -> None:
    body = read(folder, "sent.json").get("body")
    if body is not None:  # else it is refused
        kind = ResponseCreateParamsStreaming if body.get("stream") else ResponseCreateParamsNonStreaming
        assert as_lists(TypeAdapter(kind).validate_python(body)) == body, (
            "a field that the types do not know is dropped"
        )


@pytest.mark.parametrize("folder", WHOLE, ids=name_of)
def test_the_recorded_form_of_whole_replies_is_the_official_one(folder: Path) -> None:
    body = read(folder, "upstream.json")
    unknown = [item for item in body["output"] if item["type"] == "future_item"]
    if not unknown and (body.get("error") or {}).get("code") != "context_length_exceeded":
        Response.model_validate(body)


@pytest.mark.parametrize("folder", WHOLE, ids=name_of)
def test_whole_replies_keep_what_every_reply_promises(folder: Path) -> None:
    try:
        reply: Any = completion.parse("openai", read(folder, "upstream.json"))
    except UpstreamError:
        return
    if "custom" not in folder.name:
        read_completion(reply)


@pytest.mark.parametrize("folder", STREAMED, ids=name_of)
def test_the_events_are_official_ones(folder: Path) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    if "unknown" in folder.name or "outside" in folder.name or "only" in folder.name:
        return
    for number, event in enumerate(events_of(folder)):
        raw = json.loads(event.data)
        assert raw["sequence_number"] == number
        if raw["type"] != "response.failed":  # its code is not among the documented ones
            adapter.validate_python(raw)


@pytest.mark.parametrize("folder", GOOD, ids=name_of)
def test_streams_keep_what_every_stream_promises(folder: Path) -> None:
    chunks = parse([[event] for event in events_of(folder)])
    assert chunks == parse([events_of(folder)])
    if "custom" not in folder.name:
        read_chunks(chunks)


@pytest.mark.parametrize("folder", GOOD, ids=name_of)
def test_a_stream_says_what_its_last_event_says(folder: Path) -> None:
    response = next(
        raw["response"]
        for event in reversed(events_of(folder))
        if event.data != "[DONE]" and "response" in (raw := json.loads(event.data))
    )
    if "output" not in response:
        return
    assembler = CompletionAssembler()
    for chunk in parse([events_of(folder)]):
        assembler.add(chunk)
    streamed: Any = assembler.reply()
    whole: Any = completion.parse("openai", response)
    if "logprobs" in folder.name:  # events leave the bytes out
        for token in whole["choices"][0]["logprobs"]["content"]:
            token["bytes"] = None
    assert streamed == whole


@pytest.mark.parametrize("folder", GOOD, ids=name_of)
def test_a_stream_that_stops_early_is_cut(folder: Path) -> None:
    events = [event for event in events_of(folder) if "response.completed" not in event.data[:80]]
    if events[-1].type == "response.incomplete":
        events.pop()
    with pytest.raises(StreamCut):
        parse([[event for event in events if event.data != "[DONE]"]])


@pytest.mark.parametrize("body", [[], {}, {"output": None}, {"object": "response", "status": "completed"}])
def test_what_is_no_response_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        completion.parse("openai", body)


@pytest.mark.parametrize("odd", [[], {}, ["a"], {"a": 1}, 1, True])
def test_an_event_with_a_type_or_a_code_that_is_not_a_text_is_no_crash(odd: Any) -> None:
    typed = StreamEvent("response.output_text.delta", json.dumps({"type": odd, "delta": "a"}))
    with pytest.raises(StreamCut):
        parse([[typed]])
    failed = StreamEvent("error", json.dumps({"type": "error", "message": "m", "error": {"code": odd}}))
    with pytest.raises(UpstreamError):
        parse([[failed]])


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("gpt-4o", {"tools": [SEARCH]}, "/responses"),
        ("gpt-4.1-mini", {"web_search_options": {}}, "/responses"),
        ("gpt-4o", {"tools": [TOOL]}, "/chat/completions"),
        ("gpt-4o", {}, "/chat/completions"),
        ("gpt-4o-search-preview", {"tools": [SEARCH]}, "/chat/completions"),
        ("gpt-5-search-api", {"web_search_options": {}}, "/chat/completions"),
        ("gpt-4.1-nano", {"web_search_options": {}}, "/chat/completions"),
        ("gpt-3.5-turbo", {"tools": [SEARCH]}, "/chat/completions"),
        ("gpt-4-turbo", {"tools": [SEARCH]}, "/chat/completions"),
        ("o3-mini", {"tools": [SEARCH]}, "/chat/completions"),
        ("o4-mini", {"tools": [{"type": "web_search_preview"}]}, "/responses"),
        ("o1-pro", {}, "/responses"),
        ("o3-pro-2025-06-10", {}, "/responses"),
        ("o1", {}, "/chat/completions"),
        ("o4-mini-deep-research", {"tools": [SEARCH]}, "/responses"),
        ("gpt-5-pro", {}, "/responses"),
        ("gpt-5.1-codex-max", {}, "/responses"),
        ("codex-mini-latest", {}, "/responses"),
        ("gpt-5.3", {"tools": [TOOL], "reasoning_effort": "high"}, "/chat/completions"),
        ("gpt-5.4", {"tools": [TOOL], "reasoning_effort": "high"}, "/responses"),
        ("gpt-5.4", {"tools": [TOOL]}, "/chat/completions"),
        ("gpt-5.6", {"tools": [TOOL]}, "/responses"),
        ("gpt-5.6", {"functions": [TOOL["function"]]}, "/responses"),
        ("gpt-5.6", {"tools": [TOOL], "reasoning_effort": "none"}, "/chat/completions"),
        ("gpt-5.6", {"reasoning_effort": "high"}, "/chat/completions"),
        ("gpt-5.6", {"tools": []}, "/chat/completions"),
    ],
)
def test_the_responses_api_is_asked_for_what_chat_completions_lacks(
    model: str, fields: dict[str, Any], path: str
) -> None:
    request = (
        Registry().load("openai").build_request(call(asking(**fields)), Deployment("openai", model, "https://h/v1"))
    )
    assert request.url == f"https://h/v1{path}"
    assert request.dialect == ("responses" if path == "/responses" else "own")


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai/v1/responses"),
        ("https://r.openai.azure.com/openai/v1?api-version=preview", "…/openai/v1/responses?api-version=preview"),
        ("https://r.openai.azure.com", "…/openai/deployments/o3-pro/chat/completions?api-version=2024-10-21"),
        ("https://r.services.ai.azure.com/models", "…/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)
def test_azure_has_it_on_its_v1_api_only(base_url: str, url: str) -> None:
    request = Registry().load("azure").build_request(call(asking()), Deployment("azure", "o3-pro", base_url))
    assert request.url.endswith(url.removeprefix("…"))


def test_no_other_provider_is_asked_for_responses() -> None:
    body = asking(web_search_options={}, tools=[TOOL], reasoning_effort="high")
    for spec in (each for each in Registry().specs() if each.chats):
        deployment = Deployment(spec.name, "gpt-5.6", "https://h/v1", region="eu-central-1")
        request = Registry().load(spec.name).build_request(call(body), deployment)
        assert (request.dialect == "responses") is (spec.name in ("openai", "azure")), spec.name


def test_every_field_is_sent_translated_or_reported() -> None:
    fields = json.loads((CASES / "openai" / "responses_fields" / "request.json").read_text())
    body, ignored = sent(Registry().load("openai"), fields, "o3-pro")
    renamed = {"messages", "max_completion_tokens", "thinking", "response_format", "n", "frequency_penalty"}
    assert {name for name in fields if name not in body and name not in ignored} <= renamed


@pytest.mark.parametrize(
    ("model", "fields", "signs"),
    [
        ("gpt-5.6", {"tools": [TOOL]}, True),
        ("o1-pro", {}, True),
        ("gpt-5.6", {"tools": [TOOL], "reasoning_effort": "none"}, False),
        ("gpt-4o", {"tools": [SEARCH, TOOL]}, False),
        ("gpt-4o", {"tools": [TOOL]}, False),
    ],
)
def test_reasoning_is_kept_only_where_the_api_signs_it(model: str, fields: dict[str, Any], signs: bool) -> None:
    deployment = Deployment("openai", model, "https://h/v1")
    assert Registry().load("openai").signs_reasoning(call(asking(**fields)), deployment) is signs
