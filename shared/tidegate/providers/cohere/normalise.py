"""Pieces that a whole reply of Cohere's and a streamed one have in common.

Source: https://docs.cohere.com/reference/chat (2026-11) and replies recorded up to 2026-07.
"""

from tidegate.chat.completion import FinishReason, Usage
from tidegate.errors import ProviderMalformed, ProviderTimeout
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import normalise

PLAN_FORMAT = "cohere-tool-plan"
"""The `format` of reasoning that Cohere keeps in `tool_plan`: it goes back there."""

THINKING_FORMAT = "cohere-thinking"


def finish_reason(native: Json, has_tools: bool) -> tuple[FinishReason, str | None]:
    """OpenAI's finish reason and Cohere's own. Raises `UpstreamError` where it says that the reply is broken."""
    match native:
        case "TIMEOUT":
            raise ProviderTimeout("Cohere ran out of time for the reply.", native_code="TIMEOUT")
        case "ERROR_TOXIC":  # this and the next are of the API's first version
            return "content_filter", native
        case "ERROR_LIMIT":
            return "length", native
        case _:
            return normalise.finish_reason(native, has_tools)


def reasoning_fields(text: str, form: str) -> JsonObject:
    """The three names under which reasoning is given, `form` telling a plan from thinking."""
    detail: JsonObject = {"type": "reasoning.text", "text": text, "format": form, "index": 0}
    return {"reasoning": text, "reasoning_content": text, "reasoning_details": [detail]}


def normalise_usage(raw: Json) -> Usage | None:
    """The tokens that the model read and wrote; those that Cohere charges for stay beside them, in `billed_units`.

    They leave out Cohere's own prompt, and are what `metering/billing.py` prices. Pictures are counted beside the other
    input, and reasoning within the output (recorded).
    Source: https://docs.cohere.com/reference/chat (`usage`, 2026-11).
    """
    match raw:
        case {"tokens": dict(tokens)} | {"billed_units": dict(tokens)}:
            pass
        case _:
            return None
    pictures = _count(tokens, "image_tokens")
    prompt, completion = _count(tokens, "input_tokens") + pictures, _count(tokens, "output_tokens")
    counted: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    read: JsonObject = {}
    if "cached_tokens" in raw:
        read["cached_tokens"] = _count(raw, "cached_tokens")
    if pictures:
        read["image_tokens"] = pictures
    if read:
        counted["prompt_tokens_details"] = read
    if "reasoning_tokens" in tokens:
        counted["completion_tokens_details"] = {"reasoning_tokens": _count(tokens, "reasoning_tokens")}
    billed: JsonObject = {"billed_units": raw["billed_units"]} if raw.get("billed_units") else {}
    return {**counted, **billed}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _count(raw: JsonObject, name: str) -> int:
    match raw.get(name):
        case None:
            return 0
        case int() | float() as count if not isinstance(count, bool) and count == int(count):
            return int(count)
        case _:
            raise ProviderMalformed(f"Cohere's usage has a {name} that is not a count.")


def parse_citations(raw: Json, before: int = 0) -> tuple[list[Json], list[Json]]:
    """Cohere's citations as they came, and as OpenAI's annotations those of the text whose source has a URL.

    `before` is how much text stands before the part that they count in.
    """
    cited: list[Json] = [one for one in (raw if isinstance(raw, list) else [raw]) if isinstance(one, dict)]
    notes: list[Json] = []
    for one in cited:
        match one:
            case {"start": int(start), "end": int(end), "sources": list(sources), **rest}:
                if rest.get("type") in (None, "TEXT_CONTENT"):
                    notes += [note for source in sources if (note := _note(source, before + start, before + end))]
            case _:
                pass
    return cited, notes


def _note(source: Json, start: int, end: int) -> Json:
    match source:
        case {"tool_output": {"url": str(url), **rest}} | {"document": {"url": str(url), **rest}} if url:
            title = rest.get("title")
            place: JsonObject = {"start_index": start, "end_index": end}
            named: JsonObject = {"url": url, "title": title if isinstance(title, str) else ""}
            return {"type": "url_citation", "url_citation": {**named, **place}}
        case _:
            return None


def parse_logprobs(raw: Json) -> Json:
    """The log probabilities of each piece of text: of all its tokens together, where it has several."""
    pieces: list[Json] = []
    for item in raw if isinstance(raw, list) else [raw]:
        match item:
            case {"text": str(text), "logprobs": list(chances)}:
                total = sum(chance for chance in chances if isinstance(chance, int | float))
                pieces.append({"token": text, "logprob": total, "bytes": list(text.encode()), "top_logprobs": []})
            case _:
                pass
    return {"content": pieces, "refusal": None} if pieces else None
