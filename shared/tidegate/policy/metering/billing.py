"""Turns the provider's usage into tokens, words and cost, and writes these into the reply's usage.

Source: https://platform.openai.com/docs/api-reference/chat/object (usage, 2026); words and cost are Tidegate's own.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.chat.completion import Usage
from tidegate.chat.estimate import estimate_text
from tidegate.domain import words
from tidegate.domain.operation import Request
from tidegate.domain.usage import Bill, GeneratedText, TokenCounts, WordCounts
from tidegate.domain.workspace import Workspace
from tidegate.json import Json

WORDS_PER_TOKEN = 0.75


def calculate_bill(
    usage: Usage | None,
    request: Request,
    generated: GeneratedText,
    workspace: Workspace,
    model: CatalogModel | None,
    started_at: float | None = None,
) -> Bill:
    """Return the tokens, words and cost of the call.

    Tokens that the provider did not report are estimated from the texts. `started_at` (UTC seconds) selects the price
    where prices change by the day or the hour.
    """
    tokens = _token_counts(usage, request, generated)
    return Bill(
        tokens=tokens,
        words=_word_counts(tokens, request, generated.answer, workspace),
        cost_usd=None if model is None else call_cost(model, _billable_tokens(usage, tokens), started_at),
    )


def add_hedged_prompts(bill: Bill, request: Request, models: Sequence[CatalogModel | None], started_at: float) -> Bill:
    """Add the prompts of the hedged attempts that lost, an estimate: their models charge at least for reading them."""
    prompt = TokenCounts(input=request.estimate_prompt(), estimated=True)
    total = bill.cost_usd
    for model in models:
        price = None if model is None else call_cost(model, prompt, started_at)
        total = None if total is None or price is None else total + price
    tokens = replace(bill.tokens, input=bill.tokens.input + prompt.input * len(models), estimated=True)
    return replace(bill, tokens=tokens, cost_usd=total)


def usage_with_cost(usage: Usage | None, bill: Bill) -> Usage:
    """Return OpenAI's usage object with both details, words and cost; other fields of the provider are kept.

    Web searches are counted under OpenRouter's name, `server_tool_use.web_search_requests`. `estimated` is present, and
    true, only when tokens were estimated. `cost` is in USD, null without a price.
    """
    tokens, counts = bill.tokens, bill.words
    merged = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0) if usage is None else usage.copy()
    total = _count(merged.get("total_tokens"))
    merged["prompt_tokens"] = tokens.input
    merged["completion_tokens"] = tokens.output
    merged["total_tokens"] = total if total and not tokens.estimated else tokens.input + tokens.output
    merged["prompt_tokens_details"] = _object(merged.get("prompt_tokens_details")) | {"cached_tokens": tokens.cached}
    completion_details = _object(merged.get("completion_tokens_details"))
    merged["completion_tokens_details"] = completion_details | {"reasoning_tokens": tokens.reasoning}
    if tokens.searches:
        merged["server_tool_use"] = _object(merged.get("server_tool_use")) | {"web_search_requests": tokens.searches}
    merged["words_used"] = counts.used
    merged["words_details"] = {"input_words": counts.input, "output_words": counts.output, "method": counts.method}
    merged["cost"] = None if bill.cost_usd is None else round(float(bill.cost_usd), 10)
    if tokens.estimated:
        merged["estimated"] = True
    return merged


def _token_counts(usage: Usage | None, request: Request, generated: GeneratedText) -> TokenCounts:
    if usage is None:
        return TokenCounts(input=request.estimate_prompt(), output=_estimate_output(generated), estimated=True)
    prompt_details = _object(usage.get("prompt_tokens_details"))
    completion_details = _object(usage.get("completion_tokens_details"))
    output = _count(usage.get("completion_tokens"))
    # A stream that was cut may have reported its input tokens at the start, but no output tokens.
    is_output_unreported = output == 0 and generated != GeneratedText()
    return TokenCounts(
        input=_count(usage.get("prompt_tokens")),
        output=_estimate_output(generated) if is_output_unreported else output,
        cached=_count(prompt_details.get("cached_tokens")),
        written=_count(prompt_details.get("cache_write_tokens")),
        reasoning=_count(completion_details.get("reasoning_tokens")),
        estimated=is_output_unreported,
        written_1h=_count(prompt_details.get("cache_write_1h_tokens")),
        audio_input=_count(prompt_details.get("audio_tokens")),
        audio_output=_count(completion_details.get("audio_tokens")),
        image_input=_count(prompt_details.get("image_tokens")),
        image_output=_count(completion_details.get("image_tokens")),
        searches=_searches(usage),
        audio_cached=_count(_object(prompt_details.get("cached_tokens_details")).get("audio_tokens")),
    )


def _searches(usage: Usage) -> int:
    """Return the number of web searches, under the names that Anthropic, OpenRouter and Perplexity use."""
    tools = _object(usage.get("server_tool_use") or usage.get("server_tool_use_details"))
    return _count(tools.get("web_search_requests")) or _count(usage.get("num_search_queries"))


def _billable_tokens(usage: Usage | None, tokens: TokenCounts) -> TokenCounts:
    """Return the tokens that the provider charges for. Cohere adds a prompt of its own, without charge.

    Source: https://docs.cohere.com/reference/chat (usage.billed_units, 2026-11).
    """
    billed = {} if usage is None or tokens.estimated else _object(usage.get("billed_units"))
    if "input_tokens" not in billed and "output_tokens" not in billed:
        return tokens
    return TokenCounts(input=_count(billed.get("input_tokens")), output=_count(billed.get("output_tokens")))


def _estimate_output(generated: GeneratedText) -> int:
    return estimate_text(generated.answer) + (estimate_text(generated.hidden) if generated.hidden else 0)


def _word_counts(tokens: TokenCounts, request: Request, answer: str, workspace: Workspace) -> WordCounts:
    """Count the words. Halves are rounded to the even number (Python's `round`): 2 tokens are 2 words, 6 are 4."""
    by_tokens = workspace.words_method == "tokens"
    output = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else words.count_words(answer)
    input = sum(map(words.count_words, request.prompt_texts()))
    used = output + input if workspace.charge_input_words else output
    return WordCounts(used=used, input=input, output=output, method=workspace.words_method)


def _object(value: Json) -> dict[str, Json]:
    """Return the object, or an empty one where a provider sends null or nothing."""
    return value if isinstance(value, dict) else {}


def _count(value: Json) -> int:
    """Return a count that a provider reports; 0 for a missing value, null, or anything that is not a count."""
    match value:
        case int():
            return max(0, value)
        case float() if value.is_integer():
            return max(0, int(value))
        case _:
            return 0
