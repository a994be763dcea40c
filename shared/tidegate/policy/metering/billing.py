"""The wire's usage into a bill, and the bill back onto the wire.

Source: https://platform.openai.com/docs/api-reference/chat/object (usage, 2026); words and cost are Tidegate's own.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.catalog import Model, cost
from tidegate.chat.completion import Usage
from tidegate.chat.estimate import estimate_prompt, estimate_text
from tidegate.chat.messages import texts
from tidegate.chat.request import ChatRequest
from tidegate.domain import words
from tidegate.domain.usage import Bill, Produced, Tokens, Words
from tidegate.domain.workspace import Workspace
from tidegate.json import Json

WORDS_PER_TOKEN = 0.75


def bill(
    usage: Usage | None,
    request: ChatRequest,
    produced: Produced,
    workspace: Workspace,
    model: Model | None,
    at: float | None = None,
) -> Bill:
    """What the call consumed and costs.

    Tokens that the provider did not report are estimated from the texts. `at` is when the call began (UTC seconds),
    for prices that change by the day or the hour.
    """
    tokens = _tokens(usage, request, produced)
    return Bill(
        tokens=tokens,
        words=_words(tokens, request, produced.answer, workspace),
        cost_usd=None if model is None else cost(model, _priced(usage, tokens), at),
    )


def with_prompts(bill: Bill, request: ChatRequest, models: Sequence[Model | None], at: float) -> Bill:
    """The bill with what models charge that were asked as well, and not waited for: the prompt, as far as one knows."""
    prompt = Tokens(input=estimate_prompt(request.fields), estimated=True)
    total = bill.cost_usd
    for model in models:
        price = None if model is None else cost(model, prompt, at)
        total = None if total is None or price is None else total + price
    tokens = replace(bill.tokens, input=bill.tokens.input + prompt.input * len(models), estimated=True)
    return replace(bill, tokens=tokens, cost_usd=total)


def to_wire(usage: Usage | None, bill: Bill) -> Usage:
    """OpenAI's usage object with both details, words and cost; what else the provider reported is kept.

    Searches are under OpenRouter's name, `server_tool_use.web_search_requests`, wherever there were any. `estimated` is
    there, and true, only when tokens were estimated. `cost` is in USD, null when there is no price.
    """
    tokens, charged = bill.tokens, bill.words
    wire = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0) if usage is None else usage.copy()
    total = _number(wire.get("total_tokens"))
    wire["prompt_tokens"] = tokens.input
    wire["completion_tokens"] = tokens.output
    wire["total_tokens"] = total if total and not tokens.estimated else tokens.input + tokens.output
    wire["prompt_tokens_details"] = _details(wire.get("prompt_tokens_details")) | {"cached_tokens": tokens.cached}
    completion = _details(wire.get("completion_tokens_details"))
    wire["completion_tokens_details"] = completion | {"reasoning_tokens": tokens.reasoning}
    if tokens.searches:
        wire["server_tool_use"] = _details(wire.get("server_tool_use")) | {"web_search_requests": tokens.searches}
    wire["words_used"] = charged.used
    wire["words_details"] = {
        "input_words": charged.input,
        "output_words": charged.output,
        "method": charged.method,
    }
    wire["cost"] = None if bill.cost_usd is None else round(float(bill.cost_usd), 10)
    if tokens.estimated:
        wire["estimated"] = True
    return wire


def _tokens(usage: Usage | None, request: ChatRequest, produced: Produced) -> Tokens:
    if usage is None:
        return Tokens(input=estimate_prompt(request.fields), output=_estimate(produced), estimated=True)
    prompt = _details(usage.get("prompt_tokens_details"))
    completion = _details(usage.get("completion_tokens_details"))
    output = _number(usage.get("completion_tokens"))
    # A stream that was cut may have told its input at the start, and nothing of its output.
    untold = output == 0 and produced != Produced()
    return Tokens(
        input=_number(usage.get("prompt_tokens")),
        output=_estimate(produced) if untold else output,
        cached=_number(prompt.get("cached_tokens")),
        written=_number(prompt.get("cache_write_tokens")),
        reasoning=_number(completion.get("reasoning_tokens")),
        estimated=untold,
        written_1h=_number(prompt.get("cache_write_1h_tokens")),
        audio_input=_number(prompt.get("audio_tokens")),
        audio_output=_number(completion.get("audio_tokens")),
        image_input=_number(prompt.get("image_tokens")),
        image_output=_number(completion.get("image_tokens")),
        searches=_searches(usage),
        audio_cached=_number(_details(prompt.get("cached_tokens_details")).get("audio_tokens")),
    )


def _searches(usage: Usage) -> int:
    """Web searches in the words of Anthropic, of OpenRouter, and of Perplexity."""
    tools = _details(usage.get("server_tool_use") or usage.get("server_tool_use_details"))
    return _number(tools.get("web_search_requests")) or _number(usage.get("num_search_queries"))


def _priced(usage: Usage | None, tokens: Tokens) -> Tokens:
    """The tokens that the provider charges for. Cohere leaves out its own prompt, and says what is left.

    Source: https://docs.cohere.com/reference/chat (usage.billed_units, 2026-11).
    """
    billed = {} if usage is None or tokens.estimated else _details(usage.get("billed_units"))
    if "input_tokens" not in billed and "output_tokens" not in billed:
        return tokens
    return Tokens(input=_number(billed.get("input_tokens")), output=_number(billed.get("output_tokens")))


def _estimate(produced: Produced) -> int:
    return estimate_text(produced.answer) + (estimate_text(produced.hidden) if produced.hidden else 0)


def _words(tokens: Tokens, request: ChatRequest, answer: str, workspace: Workspace) -> Words:
    """Halves are rounded to the even number, as Python's `round` does: 2 tokens are 2 words, and 6 tokens are 4."""
    by_tokens = workspace.words_method == "tokens"
    output = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else words.count(answer)
    given = sum(map(words.count, texts(request.fields.messages)))
    return Words(
        used=output + given if workspace.charge_input_words else output,
        input=given,
        output=output,
        method=workspace.words_method,
    )


def _details(value: Json) -> dict[str, Json]:
    """The object, or an empty one where a provider sends null or nothing."""
    return value if isinstance(value, dict) else {}


def _number(value: Json) -> int:
    """A count as a provider reports it; what is missing, null or no count is 0."""
    match value:
        case int():
            return max(0, value)
        case float() if value.is_integer():
            return max(0, int(value))
        case _:
            return 0
