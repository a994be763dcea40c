"""Pieces shared by complete and streamed replies from Cohere.

Source: https://docs.cohere.com/reference/chat (2026-11) and replies recorded up to 2026-07.
"""

from tidegate.chat.completion import FinishReason, Usage, url_citation
from tidegate.domain.usage import add_counts, parse_count
from tidegate.errors import ProviderTimeout
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import normalise

PLAN_FORMAT = "cohere-tool-plan"
"""The `format` of reasoning that Cohere sends in `tool_plan`, and expects back there."""

THINKING_FORMAT = "cohere-thinking"


def finish_reason(native: Json, has_tools: bool) -> tuple[FinishReason, str | None]:
    """Return OpenAI's finish reason and Cohere's own. Raises `UpstreamError` if it says that the reply is broken."""
    match native:
        case "TIMEOUT":
            raise ProviderTimeout("Cohere timed out before the reply was complete.", native_code="TIMEOUT")
        case "ERROR_TOXIC":  # ERROR_TOXIC and ERROR_LIMIT come from version 1 of the API
            return "content_filter", native
        case "ERROR_LIMIT":
            return "length", native
        case _:
            return normalise.finish_reason(native, has_tools)


def reasoning_fields(text: str, detail_format: str) -> JsonObject:
    """Return the three fields that carry reasoning; the format distinguishes a plan from thinking."""
    detail: JsonObject = {"type": "reasoning.text", "text": text, "format": detail_format, "index": 0}
    return {"reasoning": text, "reasoning_content": text, "reasoning_details": [detail]}


def normalise_usage(raw: Json) -> Usage | None:
    """Return the tokens that the model read and wrote; the tokens that Cohere charges for are in `billed_units`.

    `billed_units` exclude Cohere's own prompt, and are what `metering/billing.py` prices. Image tokens are counted
    beside the other input, reasoning tokens within the output (recorded).
    Source: https://docs.cohere.com/reference/chat (`usage`, 2026-11).
    """
    match raw:
        case {"tokens": dict(tokens)} | {"billed_units": dict(tokens)}:
            pass
        case _:
            return None
    image_tokens = _count(tokens, "image_tokens")
    prompt, completion = add_counts(_count(tokens, "input_tokens"), image_tokens), _count(tokens, "output_tokens")
    total = add_counts(prompt, completion)
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if tokens.get("input_tokens") is None:
        usage["estimated"] = True
    prompt_details: JsonObject = {}
    if "cached_tokens" in raw:
        prompt_details["cached_tokens"] = _count(raw, "cached_tokens")
    if image_tokens:
        prompt_details["image_tokens"] = image_tokens
    if prompt_details:
        usage["prompt_tokens_details"] = prompt_details
    if "reasoning_tokens" in tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": _count(tokens, "reasoning_tokens")}
    billed: JsonObject = {"billed_units": raw["billed_units"]} if raw.get("billed_units") else {}
    return {**usage, **billed}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _count(raw: JsonObject, name: str) -> int:
    return parse_count(raw.get(name))


def parse_citations(raw: Json, offset: int = 0) -> tuple[list[Json], list[Json]]:
    """Return Cohere's citations unchanged, and the citations of text that have a URL as OpenAI's annotations.

    `offset` is the length of the text before the content part to which the citations' positions refer.
    """
    citations: list[Json] = [item for item in (raw if isinstance(raw, list) else [raw]) if isinstance(item, dict)]
    annotations: list[Json] = []
    for citation in citations:
        match citation:
            case {"start": int(start), "end": int(end), "sources": list(sources), **rest}:
                if rest.get("type") in (None, "TEXT_CONTENT"):
                    found = (_annotation(source, offset + start, offset + end) for source in sources)
                    annotations += [annotation for annotation in found if annotation]
            case _:
                pass
    return citations, annotations


def _annotation(source: Json, start: int, end: int) -> Json:
    match source:
        case {"tool_output": {"url": str(url), **rest}} | {"document": {"url": str(url), **rest}} if url:
            return url_citation(url, rest.get("title"), start, end)
        case _:
            return None


def parse_logprobs(raw: Json) -> Json:
    """Return the log probability of each piece of text: the sum over its tokens."""
    pieces: list[Json] = []
    for item in raw if isinstance(raw, list) else [raw]:
        match item:
            case {"text": str(text), "logprobs": list(token_logprobs)}:
                total = sum(logprob for logprob in token_logprobs if isinstance(logprob, int | float))
                pieces.append({"token": text, "logprob": total, "bytes": list(text.encode()), "top_logprobs": []})
            case _:
                pass
    return {"content": pieces, "refusal": None} if pieces else None
