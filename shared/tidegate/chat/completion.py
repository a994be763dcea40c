"""A chat completion and its chunks, as they are on the wire.

Source: https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming, as published in 2026, read
strictly: every choice of a completion has `refusal` and `logprobs` (null if empty), `created` is an integer, and chunks
without usage have no `usage` field. Unknown fields of a provider pass through.
"""

from collections.abc import Iterable
from typing import Literal, Required, TypedDict

from tidegate.domain.usage import Usage
from tidegate.json import Json, JsonObject

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class FunctionCall(TypedDict, total=False):
    name: str
    arguments: str


class ToolCall(TypedDict, total=False):
    index: int  # in deltas only: the ordinal of the call within the reply
    id: str
    type: Literal["function", "custom"]
    function: FunctionCall
    custom: dict[str, Json]


class CompletionMessage(TypedDict, total=False):
    role: Required[Literal["assistant"]]
    content: Required[str | None]
    refusal: Required[str | None]
    reasoning: str
    reasoning_content: str  # an alias of `reasoning`, for clients that know DeepSeek's name
    reasoning_details: list[Json]
    tool_calls: list[ToolCall]
    function_call: FunctionCall
    annotations: list[Json]
    audio: Json
    images: list[Json]


class Choice(TypedDict, total=False):
    index: Required[int]
    message: Required[CompletionMessage]
    finish_reason: Required[FinishReason]
    native_finish_reason: str
    logprobs: Required[Json]


class Completion(TypedDict, total=False):
    """A whole reply. The gateway sets `id`, `created` and `model`; a provider need not."""

    id: str
    object: Required[Literal["chat.completion"]]
    created: int
    model: str
    choices: Required[list[Choice]]
    usage: Usage
    system_fingerprint: Required[str | None]
    service_tier: str


class Delta(TypedDict, total=False):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    reasoning: str
    reasoning_content: str
    reasoning_details: list[Json]
    tool_calls: list[ToolCall]
    function_call: FunctionCall
    annotations: list[Json]
    audio: Json
    images: list[Json]


class ChunkChoice(TypedDict, total=False):
    index: Required[int]
    delta: Required[Delta]
    finish_reason: Required[FinishReason | None]
    native_finish_reason: str
    logprobs: Json


class Chunk(TypedDict, total=False):
    """One event of a stream. The usage chunk has `choices: []` and comes last."""

    id: str
    object: Required[Literal["chat.completion.chunk"]]
    created: int
    model: str
    choices: Required[list[ChunkChoice]]
    usage: Usage
    system_fingerprint: str | None
    service_tier: str


def url_citation(url: str, title: Json, start: int = 0, end: int = 0) -> JsonObject:
    """Return an annotation: the text from `start` to `end` (in characters; 0 and 0: unknown) cites a web page."""
    citation: JsonObject = {"url": url, "title": title if isinstance(title, str) else ""}
    return {"type": "url_citation", "url_citation": {**citation, "start_index": start, "end_index": end}}


def citation_fields(cited: Iterable[tuple[Json, int, int]]) -> JsonObject:
    """Return a message's fields for citations in Anthropic's format, each with the start and the end of its text.

    Sources with a URL become `annotations`. Passages of documents, for which OpenAI has no field, stay in `citations`.
    """
    annotations: list[Json] = []
    documents: list[Json] = []
    for citation, start, end in cited:
        match citation:
            case {"url": str(url)} | {"type": "search_result_location", "source": str(url)}:
                annotation = url_citation(url, citation.get("title"), start, end)
                content = citation.get("cited_text")
                if isinstance(content, str) and content and isinstance(details := annotation["url_citation"], dict):
                    details["content"] = content
                annotations.append(annotation)
            case _:
                documents.append(citation)
    fields: JsonObject = {"annotations": annotations, "citations": documents}
    return {name: listed for name, listed in fields.items() if listed}
