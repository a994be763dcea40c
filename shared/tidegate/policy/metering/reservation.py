"""What a call may use at most, the accounts that must have room for it, and what a caller is told when one has not."""

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Model, cost
from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.messages import media, texts
from tidegate.chat.request import ChatFields
from tidegate.domain import words
from tidegate.domain.account import GRACE_SECONDS, Hold, Rate, Refusal, Reservation, Scope
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Plan
from tidegate.domain.limits import Amounts
from tidegate.domain.record import exact, iso_time, plain
from tidegate.domain.settlement import shard_of
from tidegate.domain.usage import Tokens
from tidegate.errors import ModelNotAllowed, ModelUnpriced, NoRoom, QuotaExhausted, RateLimited
from tidegate.json import encode
from tidegate.policy.metering.billing import WORDS_PER_TOKEN

PROMPT_MARGIN, TEMPLATE, TOOLS, MEDIUM = 1.75, 100, 400, 700
"""An estimated prompt is held so many times, and so many tokens more: for the words that a provider puts around it,
for those around tools, and for each image, document, recording or film, of which nobody knows how much it is.

Measured on 21 November 2026 on 1,395 recorded calls in OpenAI's dialect, Anthropic's and Converse's: 99.7 % took no
more input than was held (99.3 % of 534 with text alone, all 688 with tools, all 173 with media). Half of them took less
than 29 % of it, for most are so short that the added tokens are most of it; of 51 that estimate more than a thousand
tokens without media, half took more than 58 %. Not held high enough: a model that another one answers for, a template
of 500 tokens (Snowflake), and, beyond what was recorded, long documents and films.
"""

FOUND = 32_000
"""Tokens held for what a provider reads by itself, where it has tools of its own: to search, to fetch, to run code.

Enough for 57 of 64 such recorded calls. The others took 400,000 twice, or have nothing in the request that tells: three
of Groq's compound models, two with servers of MCP.
"""

UNKNOWN_OUTPUT = 8192
"""Tokens held for the answer where neither the caller nor the catalogue says how long it may be.

None of 600 such recorded answers was longer. Where a limit was sent, none of 351 answers (Anthropic's 326, OpenAI's 10,
OpenRouter's and Bedrock's 7 each, one other) was longer than that, with its reasoning.
"""

SHORTEST_ANSWER = 16
"""Tokens: what is less is not worth asking for."""

SEARCHES = 5
"""Held for a call that may search the web."""

_OURS = ("function", "custom")
"""Tools that the caller runs."""


class Room(Struct, frozen=True):
    """What was left of the rates after the call, by "requests" and "tokens"; `max_tokens` where it was shortened."""

    rates: Mapping[str, Rate]
    max_tokens: int | None = None


NO_LIMITS = Room({})


def check_model(call: Call, model_id: str) -> None:
    """Raises `ModelNotAllowed` when the workspace or the key has patterns and none matches."""
    _check_allowed(call, model_id, None, None)


def permitted(call: Call, plan: Plan) -> Plan:
    """The plan, without those deployments of a route that the workspace or the key may not use.

    A pattern matches the model itself, or the route's name; but a workspace allows itself nothing by the name of a
    route of its own. Raises `ModelNotAllowed` when none is left.
    """
    name = plan.route.name if plan.route else None
    allowed: list[Deployment] = []
    fault: ModelNotAllowed | None = None
    for deployment in plan.deployments:
        try:
            _check_allowed(call, deployment.model_id, None if plan.is_own else name, name)
            allowed.append(deployment)
        except ModelNotAllowed as error:
            fault = fault or error
    if fault is None:
        return plan
    if not allowed:
        raise fault
    return replace(plan, deployments=tuple(allowed))


def reservation(call: Call, model_id: str, model: Model | None) -> Reservation | None:
    """The worst case of the call, and the accounts that have limits; None where there are none.

    Raises `ModelUnpriced`.
    """
    scopes = tuple(_scopes(call))
    if not scopes:
        return None
    tokens = longest(call, model)
    usd = None if model is None else cost(model, tokens, call.started_at)
    has_budget = any(budget.unit == "usd" for scope in scopes for budget in scope.limits.budgets())
    if usd is None and has_budget and not call.workspace.allows_unpriced:
        raise ModelUnpriced(f"There is a budget in USD, and {model_id!r} has no price.", param="model")
    hold = Hold(
        call_id=call.id,
        workspace_id=call.workspace.id,
        key_id=call.principal.key_id,
        model=model_id,
        amounts=Amounts(tokens.input + tokens.output, charged_words(call, tokens), exact(usd or Decimal(0))),
        input_tokens=tokens.input,
        at=call.started_at,
        expires_at=call.deadline + GRACE_SECONDS,
        kinds=tuple(scope.kind for scope in scopes),
        first_day=call.workspace.first_day,
        shard=shard_of(call.id, call.workspace.shards),
    )
    return Reservation(hold, scopes)


def covering(
    call: Call, asked: Reservation, model: Model | None, other_id: str, other: Model | None
) -> Reservation | None:
    """Room for two models that are asked for the same, of which one gives the answer and the other reads the prompt.

    Whichever is which: the larger of each. None where the other has no price, and needs one.
    """
    try:
        second = reservation(call, other_id, other)
    except ModelUnpriced:
        return None
    if second is None:
        return None
    mine, others = asked.hold.amounts, second.hold.amounts
    prompt = replace(longest(call, model), output=0)
    prices = [each and cost(each, prompt, call.started_at) for each in (model, other)]
    amounts = Amounts(
        max(mine.tokens, others.tokens) + prompt.input,
        max(mine.words, others.words),
        max(mine.usd, others.usd) + exact(max(price or Decimal(0) for price in prices)),
    )
    hold = replace(asked.hold, amounts=amounts, input_tokens=asked.hold.input_tokens + prompt.input)
    return replace(asked, hold=hold)


def longest(call: Call, model: Model | None) -> Tokens:
    """The most tokens and searches that the call is taken to use. A prompt may be written to the provider's cache."""
    fields = call.request.fields
    prompt = _prompt(fields)
    answer = call.request.output_limit or (model and model.output_limit) or UNKNOWN_OUTPUT
    searches = any("web_search" in tool.type for tool in fields.tools or ())
    caches = _caches(call)
    return Tokens(
        input=prompt,
        output=answer * (fields.n or 1),
        written=prompt if caches else 0,
        written_1h=prompt if caches else 0,
        searches=SEARCHES if searches or fields.web_search_options is not None else 0,
        estimated=True,
    )


def refused(scope: Scope, why: Refusal, now: float) -> NoRoom:
    """What the caller is told: which limit, whose, and when it is open again."""
    most = plain(why.most) if isinstance(why.most, Decimal) else str(why.most)
    whose = f"This {scope.kind}'s limit {why.limit} of {most}"
    if why.limit == "parallel_calls" or why.limit.endswith("_per_minute"):
        seconds = max(1.0, why.resets_at - now)
        message = f"{whose} is reached."
        return RateLimited(message, limit=why.limit, most=why.most, left=why.left, retry_after_seconds=seconds)
    message = f"{whose} leaves no room for this call. It resets at {iso_time(why.resets_at)}."
    return QuotaExhausted(message, limit=why.limit, most=why.most, left=why.left)


def shortened(call: Call, model: Model | None, error: NoRoom) -> int | None:
    """The most tokens of an answer for which there would be room; None where that is none worth asking for."""
    whole = longest(call, model)
    bare = replace(whole, output=0)
    match error.limit.partition("_per_")[0]:
        case "tokens":
            each, rest = Decimal(1), error.left - whole.input
        case "words":
            prompt = charged_words(call, bare)
            each, rest = Decimal(charged_words(call, whole) - prompt) / whole.output, error.left - prompt
        case "usd" if model is not None:
            prompt_usd, usd = cost(model, bare, call.started_at), cost(model, whole, call.started_at)
            if prompt_usd is None or usd is None:
                return None
            each, rest = (usd - prompt_usd) / whole.output, error.left - prompt_usd
        case _:
            return None
    most = int(rest / each) // (call.request.fields.n or 1) if each else 0
    return most if most >= SHORTEST_ANSWER else None


def _check_allowed(call: Call, model_id: str, for_workspace: str | None, for_key: str | None) -> None:
    """The model, or the name of the route to it."""
    for whose, limits, route in (
        ("workspace", call.workspace.effective_limits, for_workspace),
        ("key", call.principal.limits, for_key),
    ):
        if not limits.allow(model_id, route):
            raise ModelNotAllowed(f"This {whose} may not use the model {model_id!r}.", param="model")


def _scopes(call: Call) -> Iterator[Scope]:
    workspace, key = call.workspace, call.principal
    limits = workspace.effective_limits
    if limits.are_counted:
        yield Scope("workspace", workspace.id, limits, shards=workspace.shards)
    if key.limits.are_counted:
        yield Scope("key", key.key_id, key.limits)


def charged_words(call: Call, tokens: Tokens) -> int:
    """The most words that so many tokens are charged for."""
    by_tokens = call.workspace.words_method == "tokens"
    output = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else tokens.output
    if not call.workspace.charge_input_words:
        return output
    return output + sum(map(words.count, texts(call.request.fields.messages)))


def _prompt(fields: ChatFields) -> int:
    """Tokens held for what is sent, and for what the provider reads besides."""
    extra = TEMPLATE + MEDIUM * media(fields.messages)
    if fields.tools or fields.functions:
        extra += TOOLS
    if fields.web_search_options is not None or any(tool.type not in _OURS for tool in fields.tools or ()):
        extra += FOUND
    return math.ceil(estimate_prompt(fields) * PROMPT_MARGIN) + extra


def _caches(call: Call) -> bool:
    """Whether the call asks for caching, which some providers charge for when it is written."""
    return b'"cache_control"' in encode(call.request.body)
