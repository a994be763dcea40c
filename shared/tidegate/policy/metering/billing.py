"""Turns the provider's usage into tokens, words and cost, and writes these into the reply's usage.

Source: https://platform.openai.com/docs/api-reference/chat/object (usage, 2026); words and cost are Tidegate's own.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.chat.completion import Usage
from tidegate.chat.estimate import estimate_text
from tidegate.domain.money import exact_money
from tidegate.domain.operation import Request
from tidegate.domain.usage import (
    Bill,
    GeneratedText,
    GeneratedTexts,
    TokenCounts,
    WordCounts,
    parse_count,
    reported_counts,
)
from tidegate.domain.words import count_words, count_words_of
from tidegate.domain.workspace import Workspace
from tidegate.json import Json

WORDS_PER_TOKEN = 0.75

_NO_TEXTS = GeneratedText()

MAX_TURNS, UNKNOWN_WINDOW_TOKENS, MIN_TOKENS_BELIEVED = 10, 1_000_000, 1_000_000
"""A count is believed up to ten times the model's limit: a provider that runs its own tools asks the model several
times in one call (Anthropic up to ten times). Of 2,313 recorded calls, two took twice the context window; the others,
less than a sixth. Counts up to a million are always believed, because the catalogue may be wrong about small limits.
"""


def calculate_bill(
    usage: Usage | None,
    request: Request,
    generated: GeneratedTexts,
    workspace: Workspace,
    model: CatalogModel | None,
    started_at: float | None = None,
    estimate: TokenCounts | None = None,
) -> Bill:
    """Return the tokens, words and cost of the call.

    Tokens that the provider did not report are estimated from the texts. `estimate` is given for a reply without usage,
    or with one that is not believed, or that was cut, so that its usage may be incomplete: the call has at least these
    tokens of output. `started_at` (UTC seconds) selects the price where prices change by the day or the hour.
    """
    tokens = _token_counts(usage, request, generated, model) if estimate is None or usage is not None else estimate
    if estimate is not None:
        is_refused = tokens.usage_fault == "refused"
        tokens = replace(estimate, usage_fault="refused") if is_refused else _at_least(tokens, estimate)
    billable = tokens
    if usage is not None and "billed_units" in usage and not tokens.estimated:
        billable = _billable_tokens(usage, tokens, request, model)
    words = _word_counts(tokens, request, generated, workspace)
    return Bill(tokens, words, None if model is None else call_cost(model, billable, started_at))


def empty_bill(request: Request, workspace: Workspace) -> Bill:
    """Return the bill of a call that no provider has answered: the words of its prompt, and nothing else."""
    return Bill(TokenCounts(), _word_counts(TokenCounts(), request, _NO_TEXTS, workspace), Decimal(0))


@exact_money
def add_attempts(bill: Bill, attempts: Sequence[tuple[CatalogModel | None, TokenCounts]], started_at: float) -> Bill:
    """Add the estimated tokens of attempts whose usage was never reported, each at the price of its model."""
    tokens, total = bill.tokens, bill.cost_usd
    for model, estimate in attempts:
        price = None if model is None else call_cost(model, estimate, started_at)
        total = None if total is None or price is None else total + price
        tokens = replace(
            tokens,
            input=tokens.input + estimate.input,
            output=tokens.output + estimate.output,
            reasoning=tokens.reasoning + estimate.reasoning,
            estimated=True,
        )
    return replace(bill, tokens=tokens, cost_usd=total)


def usage_with_cost(usage: Usage | None, bill: Bill) -> Usage:
    """Return OpenAI's usage object with both details, words and cost; other fields of the provider are kept.

    Web searches are counted under OpenRouter's name, `server_tool_use.web_search_requests`. `estimated` is present, and
    true, only when tokens were estimated. `cost` is in USD, null without a price.
    """
    tokens, counts, cost = bill.tokens, bill.words, bill.cost_usd
    input, output, total = tokens.input, tokens.output, 0
    cached: dict[str, Json] = {}
    reasoning: dict[str, Json] = {}
    if usage is None:
        merged: Usage = {"prompt_tokens": input, "completion_tokens": output, "total_tokens": 0}
    else:
        merged = usage.copy()
        merged["prompt_tokens"] = input
        merged["completion_tokens"] = output
        if not tokens.estimated and "total_tokens" in usage:
            total = usage["total_tokens"]
            if type(total) is not int:  # a provider may report anything
                total = parse_count(total)
        if "prompt_tokens_details" in usage and (details := usage["prompt_tokens_details"]):
            cached = details.copy()
        if "completion_tokens_details" in usage and (details := usage["completion_tokens_details"]):
            reasoning = details.copy()
    cached["cached_tokens"] = tokens.cached
    reasoning["reasoning_tokens"] = tokens.reasoning
    merged["total_tokens"] = total if total > 0 else input + output
    merged["prompt_tokens_details"] = cached
    merged["completion_tokens_details"] = reasoning
    if tokens.searches:
        merged["server_tool_use"] = {**_object(merged, "server_tool_use"), "web_search_requests": tokens.searches}
    merged["words_used"] = counts.used
    merged["words_details"] = {"input_words": counts.input, "output_words": counts.output, "method": counts.method}
    merged["cost"] = None if cost is None else _ten_places(float(cost))
    if tokens.estimated:
        merged["estimated"] = True
    return merged


def _ten_places(amount: float) -> float:
    """Return `round(amount, 10)` in a third of its time. Only what is halfway between two results needs all of it."""
    scaled = amount * 1e10
    if scaled < 1e15:
        whole = int(scaled + 0.5)
        if -0.499 < scaled - whole < 0.499:
            return whole / 1e10
    return round(amount, 10)


def _at_least(tokens: TokenCounts, estimate: TokenCounts) -> TokenCounts:
    """Return the reported tokens of a reply that was cut, filled up with the estimate of what was not reported."""
    if not tokens.input:
        tokens = replace(tokens, input=estimate.input, estimated=True)
    if tokens.output < estimate.output:
        missing = estimate.output - tokens.output
        reasoning = max(tokens.reasoning, min(estimate.reasoning, missing))
        tokens = replace(tokens, output=estimate.output, reasoning=reasoning, estimated=True)
    return tokens


def _token_counts(
    usage: Usage | None, request: Request, generated: GeneratedTexts, model: CatalogModel | None
) -> TokenCounts:
    """Return the tokens that the provider reported, as far as they can be believed; else an estimate."""
    if usage is None:
        return TokenCounts(input=request.estimate_prompt(), output=_estimate_output(generated), estimated=True)
    counts = reported_counts(usage, MIN_TOKENS_BELIEVED, MIN_TOKENS_BELIEVED)
    if counts is None:
        max_input, max_output = _believed_tokens(model, request.choices)
        counts = reported_counts(usage, max_input, max_output)
        if counts is None:  # many texts in one request take more than one context window
            counts = reported_counts(usage, max(max_input, MAX_TURNS * request.estimate_prompt()), max_output)
        if counts is None:
            return _refused_counts(request, generated, model)
    if not counts.input and not (counts.output and _reports_prompt(usage)):
        counts = replace(counts, input=request.estimate_prompt(), estimated=True)
    # A stream that was cut may have reported its input tokens at the start, but no output tokens.
    if not counts.output and (generated.answer or generated.reasoning or generated.other):
        counts = replace(counts, output=_estimate_output(generated), estimated=True)
    return counts


def _reports_prompt(usage: Usage) -> bool:
    """True if the provider has counted the prompt. A count of 0 beside an answer is meant: OpenRouter charges nothing
    for some prompts (recorded).
    """
    return cast("Json", usage.get("prompt_tokens")) is not None and not usage.get("estimated")


def _believed_tokens(model: CatalogModel | None, choices: int) -> tuple[int, int]:
    """Return the most tokens of input and output that a provider is believed."""
    window = (model and model.context_window) or UNKNOWN_WINDOW_TOKENS
    answer = (model and model.output_limit) or window
    return max(MIN_TOKENS_BELIEVED, MAX_TURNS * window), max(MIN_TOKENS_BELIEVED, MAX_TURNS * answer * choices)


def _refused_counts(request: Request, generated: GeneratedTexts, model: CatalogModel | None) -> TokenCounts:
    """Return an estimate in place of a usage that is not believed; at most the worst case that the call has held."""
    worst_case = request.worst_case(model)
    return TokenCounts(
        input=min(request.estimate_prompt(), worst_case.input),
        output=min(_estimate_output(generated), worst_case.output),
        estimated=True,
        usage_fault="refused",
    )


def _billable_tokens(usage: Usage, tokens: TokenCounts, request: Request, model: CatalogModel | None) -> TokenCounts:
    """Return the tokens that the provider charges for. Cohere adds a prompt of its own, without charge.

    Source: https://docs.cohere.com/reference/chat (usage.billed_units, 2026-11).
    """
    billed = _object(usage, "billed_units")
    if "input_tokens" not in billed and "output_tokens" not in billed:
        return tokens
    input, output = parse_count(billed.get("input_tokens")), parse_count(billed.get("output_tokens"))
    max_input, max_output = _believed_tokens(model, request.choices)
    is_believed = 0 <= input <= max_input and 0 <= output <= max_output
    return TokenCounts(input=input, output=output) if is_believed else tokens


def _estimate_output(generated: GeneratedTexts) -> int:
    return sum(map(estimate_text, (generated.answer, generated.reasoning, generated.other)))


def _word_counts(tokens: TokenCounts, request: Request, generated: GeneratedTexts, workspace: Workspace) -> WordCounts:
    """Count the words. Halves are rounded to the even number (Python's `round`): 2 tokens are 2 words, 6 are 4."""
    method = workspace.words_method
    output = round(WORDS_PER_TOKEN * tokens.output) if method == "tokens" else count_words(generated.answer)
    input = count_words_of(request.prompt_texts())
    return WordCounts(output + input if workspace.charge_input_words else output, input, output, method)


def _object(usage: Mapping[str, object], name: str) -> dict[str, Json]:
    """Return the object in a field of the usage, or an empty one where a provider sends null or nothing."""
    if name in usage:
        value = usage[name]
        if isinstance(value, dict):
            # JSON objects have text as names.
            return value  # pyright: ignore[reportUnknownVariableType]
    return {}
