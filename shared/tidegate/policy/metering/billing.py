"""The wire's usage into a bill, and the bill back onto the wire.

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
    """What the call consumed and costs.

    Tokens that the provider did not report are estimated from the texts. `at` is when the call began (UTC seconds),
    for prices that change by the day or the hour.
    """
    tokens = _token_counts(usage, request, generated)
    return Bill(
        tokens=tokens,
        words=_word_counts(tokens, request, generated.answer, workspace),
        cost_usd=None if model is None else call_cost(model, _billable_tokens(usage, tokens), started_at),
    )


def add_hedged_prompts(bill: Bill, request: Request, models: Sequence[CatalogModel | None], started_at: float) -> Bill:
    """The bill with what models charge that were asked as well, and not waited for: the prompt, as far as one knows."""
    prompt = TokenCounts(input=request.estimate_prompt(), estimated=True)
    total = bill.cost_usd
    for model in models:
        price = None if model is None else call_cost(model, prompt, started_at)
        total = None if total is None or price is None else total + price
    tokens = replace(bill.tokens, input=bill.tokens.input + prompt.input * len(models), estimated=True)
    return replace(bill, tokens=tokens, cost_usd=total)


def usage_with_cost(usage: Usage | None, bill: Bill) -> Usage:
    """OpenAI's usage object with both details, words and cost; what else the provider reported is kept.

    Searches are under OpenRouter's name, `server_tool_use.web_search_requests`, wherever there were any. `estimated` is
    there, and true, only when tokens were estimated. `cost` is in USD, null when there is no price.
    """
    tokens, word_counts = bill.tokens, bill.words
    wire = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0) if usage is None else usage.copy()
    total = _count(wire.get("total_tokens"))
    wire["prompt_tokens"] = tokens.input
    wire["completion_tokens"] = tokens.output
    wire["total_tokens"] = total if total and not tokens.estimated else tokens.input + tokens.output
    wire["prompt_tokens_details"] = _object(wire.get("prompt_tokens_details")) | {"cached_tokens": tokens.cached}
    completion = _object(wire.get("completion_tokens_details"))
    wire["completion_tokens_details"] = completion | {"reasoning_tokens": tokens.reasoning}
    if tokens.searches:
        wire["server_tool_use"] = _object(wire.get("server_tool_use")) | {"web_search_requests": tokens.searches}
    wire["words_used"] = word_counts.used
    wire["words_details"] = {
        "input_words": word_counts.input,
        "output_words": word_counts.output,
        "method": word_counts.method,
    }
    wire["cost"] = None if bill.cost_usd is None else round(float(bill.cost_usd), 10)
    if tokens.estimated:
        wire["estimated"] = True
    return wire


def _token_counts(usage: Usage | None, request: Request, generated: GeneratedText) -> TokenCounts:
    if usage is None:
        return TokenCounts(input=request.estimate_prompt(), output=_estimate_output(generated), estimated=True)
    prompt = _object(usage.get("prompt_tokens_details"))
    completion = _object(usage.get("completion_tokens_details"))
    output = _count(usage.get("completion_tokens"))
    # A stream that was cut may have told its input at the start, and nothing of its output.
    is_output_unreported = output == 0 and generated != GeneratedText()
    return TokenCounts(
        input=_count(usage.get("prompt_tokens")),
        output=_estimate_output(generated) if is_output_unreported else output,
        cached=_count(prompt.get("cached_tokens")),
        written=_count(prompt.get("cache_write_tokens")),
        reasoning=_count(completion.get("reasoning_tokens")),
        estimated=is_output_unreported,
        written_1h=_count(prompt.get("cache_write_1h_tokens")),
        audio_input=_count(prompt.get("audio_tokens")),
        audio_output=_count(completion.get("audio_tokens")),
        image_input=_count(prompt.get("image_tokens")),
        image_output=_count(completion.get("image_tokens")),
        searches=_searches(usage),
        audio_cached=_count(_object(prompt.get("cached_tokens_details")).get("audio_tokens")),
    )


def _searches(usage: Usage) -> int:
    """Web searches in the words of Anthropic, of OpenRouter, and of Perplexity."""
    tools = _object(usage.get("server_tool_use") or usage.get("server_tool_use_details"))
    return _count(tools.get("web_search_requests")) or _count(usage.get("num_search_queries"))


def _billable_tokens(usage: Usage | None, tokens: TokenCounts) -> TokenCounts:
    """The tokens that the provider charges for. Cohere leaves out its own prompt, and says what is left.

    Source: https://docs.cohere.com/reference/chat (usage.billed_units, 2026-11).
    """
    billed = {} if usage is None or tokens.estimated else _object(usage.get("billed_units"))
    if "input_tokens" not in billed and "output_tokens" not in billed:
        return tokens
    return TokenCounts(input=_count(billed.get("input_tokens")), output=_count(billed.get("output_tokens")))


def _estimate_output(generated: GeneratedText) -> int:
    return estimate_text(generated.answer) + (estimate_text(generated.hidden) if generated.hidden else 0)


def _word_counts(tokens: TokenCounts, request: Request, answer: str, workspace: Workspace) -> WordCounts:
    """Halves are rounded to the even number, as Python's `round` does: 2 tokens are 2 words, and 6 tokens are 4."""
    by_tokens = workspace.words_method == "tokens"
    output_words = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else words.count_words(answer)
    input_words = sum(map(words.count_words, request.prompt_texts()))
    return WordCounts(
        used=output_words + input_words if workspace.charge_input_words else output_words,
        input=input_words,
        output=output_words,
        method=workspace.words_method,
    )


def _object(value: Json) -> dict[str, Json]:
    """The object, or an empty one where a provider sends null or nothing."""
    return value if isinstance(value, dict) else {}


def _count(value: Json) -> int:
    """A count as a provider reports it; what is missing, null or no count is 0."""
    match value:
        case int():
            return max(0, value)
        case float() if value.is_integer():
            return max(0, int(value))
        case _:
            return 0
