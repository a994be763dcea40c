"""What a call may use at most, the accounts that must have room for it, and what a caller is told when one has not."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.domain import words
from tidegate.domain.account import SETTLE_GRACE_SECONDS, AccountScope, ExceededLimit, Hold, RateStatus, Reservation
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.limits import Amounts
from tidegate.domain.record import iso_time, plain_decimal, quantize_usd
from tidegate.domain.settlement import shard_of
from tidegate.domain.usage import TokenCounts
from tidegate.errors import LimitReached, ModelNotAllowed, ModelUnpriced, QuotaExhausted, RateLimited
from tidegate.policy.metering.billing import WORDS_PER_TOKEN

SHORTEST_ANSWER_TOKENS = 16
"""Tokens: what is less is not worth asking for."""


class Headroom(Struct, frozen=True):
    """What was left of the rates after the call, by "requests" and "tokens"; `max_tokens` where it was shortened."""

    rates: Mapping[str, RateStatus]
    max_tokens: int | None = None


UNLIMITED_HEADROOM = Headroom({})


def check_model_allowed(call: Call, model_id: str) -> None:
    """Raises `ModelNotAllowed` when the workspace or the key has patterns and none matches."""
    _check_allowed(call, model_id, None, None)


def allowed_deployments(call: Call, resolution: Resolution) -> Resolution:
    """The plan, without those deployments of a route that the workspace or the key may not use.

    A pattern matches the model itself, or the route's name; but a workspace allows itself nothing by the name of a
    route of its own. Raises `ModelNotAllowed` when none is left.
    """
    route_name = resolution.route.name if resolution.route else None
    allowed: list[Deployment] = []
    fault: ModelNotAllowed | None = None
    for deployment in resolution.deployments:
        try:
            _check_allowed(call, deployment.model_id, None if resolution.is_workspace_route else route_name, route_name)
            allowed.append(deployment)
        except ModelNotAllowed as error:
            fault = fault or error
    if fault is None:
        return resolution
    if not allowed:
        raise fault
    return replace(resolution, deployments=tuple(allowed))


def worst_case_reservation(call: Call, model_id: str, model: CatalogModel | None) -> Reservation | None:
    """The worst case of the call, and the accounts that have limits; None where there are none.

    Raises `ModelUnpriced`.
    """
    scopes = tuple(_scopes(call))
    if not scopes:
        return None
    tokens = worst_case_tokens(call, model)
    usd = None if model is None else call_cost(model, tokens, call.started_at)
    has_budget = any(budget.unit == "usd" for scope in scopes for budget in scope.limits.budgets())
    if usd is None and has_budget and not call.workspace.allows_unpriced:
        raise ModelUnpriced(f"There is a budget in USD, and {model_id!r} has no price.", param="model")
    hold = Hold(
        call_id=call.id,
        workspace_id=call.workspace.id,
        key_id=call.principal.key_id,
        model=model_id,
        amounts=Amounts(tokens.input + tokens.output, worst_case_words(call, tokens), quantize_usd(usd or Decimal(0))),
        input_tokens=tokens.input,
        at=call.started_at,
        expires_at=call.deadline + SETTLE_GRACE_SECONDS,
        account_kinds=tuple(scope.kind for scope in scopes),
        first_day=call.workspace.first_day,
        shard=shard_of(call.id, call.workspace.shards),
    )
    return Reservation(hold, scopes)


def worst_case_with_hedge(
    call: Call, reservation: Reservation, model: CatalogModel | None, other_id: str, other: CatalogModel | None
) -> Reservation | None:
    """Room for two models that are asked for the same, of which one gives the answer and the other reads the prompt.

    Whichever is which: the larger of each. None where the other has no price, and needs one.
    """
    try:
        hedge = worst_case_reservation(call, other_id, other)
    except ModelUnpriced:
        return None
    if hedge is None:
        return None
    mine, others = reservation.hold.amounts, hedge.hold.amounts
    prompt = replace(worst_case_tokens(call, model), output=0)
    prices = [each and call_cost(each, prompt, call.started_at) for each in (model, other)]
    amounts = Amounts(
        max(mine.tokens, others.tokens) + prompt.input,
        max(mine.words, others.words),
        max(mine.usd, others.usd) + quantize_usd(max(price or Decimal(0) for price in prices)),
    )
    hold = replace(reservation.hold, amounts=amounts, input_tokens=reservation.hold.input_tokens + prompt.input)
    return replace(reservation, hold=hold)


def worst_case_tokens(call: Call, model: CatalogModel | None) -> TokenCounts:
    """Return the most tokens and searches that the call is taken to use. See `Request.worst_case`."""
    return call.request.worst_case(model)


def limit_error(scope: AccountScope, refusal: ExceededLimit, now: float) -> LimitReached:
    """What the caller is told: which limit, whose, and when it is open again."""
    limit = plain_decimal(refusal.maximum) if isinstance(refusal.maximum, Decimal) else str(refusal.maximum)
    whose = f"This {scope.kind}'s limit {refusal.limit} of {limit}"
    if refusal.limit == "parallel_calls" or refusal.limit.endswith("_per_minute"):
        seconds = max(1.0, refusal.resets_at - now)
        message = f"{whose} is reached."
        return RateLimited(
            message,
            limit=refusal.limit,
            maximum=refusal.maximum,
            remaining=refusal.remaining,
            retry_after_seconds=seconds,
        )
    message = f"{whose} leaves no room for this call. It resets at {iso_time(refusal.resets_at)}."
    return QuotaExhausted(message, limit=refusal.limit, maximum=refusal.maximum, remaining=refusal.remaining)


def affordable_max_tokens(call: Call, model: CatalogModel | None, error: LimitReached) -> int | None:
    """The most tokens of an answer for which there would be room; None where that is none worth asking for."""
    worst_case = worst_case_tokens(call, model)
    prompt_only = replace(worst_case, output=0)
    match error.limit.partition("_per_")[0]:
        case "tokens":
            price_per_token, available = Decimal(1), error.remaining - worst_case.input
        case "words":
            prompt = worst_case_words(call, prompt_only)
            price_per_token, available = (
                Decimal(worst_case_words(call, worst_case) - prompt) / worst_case.output,
                error.remaining - prompt,
            )
        case "usd" if model is not None:
            prompt_usd, usd = (
                call_cost(model, prompt_only, call.started_at),
                call_cost(model, worst_case, call.started_at),
            )
            if prompt_usd is None or usd is None:
                return None
            price_per_token, available = (usd - prompt_usd) / worst_case.output, error.remaining - prompt_usd
        case _:
            return None
    max_tokens = int(available / price_per_token) // call.request.choices if price_per_token else 0
    return max_tokens if max_tokens >= SHORTEST_ANSWER_TOKENS else None


def _check_allowed(call: Call, model_id: str, workspace_route: str | None, key_route: str | None) -> None:
    """The model, or the name of the route to it."""
    for whose, limits, route in (
        ("workspace", call.workspace.effective_limits, workspace_route),
        ("key", call.principal.limits, key_route),
    ):
        if not limits.allow_model(model_id, route):
            raise ModelNotAllowed(f"This {whose} may not use the model {model_id!r}.", param="model")


def _scopes(call: Call) -> Iterator[AccountScope]:
    workspace, key = call.workspace, call.principal
    limits = workspace.effective_limits
    if limits.need_reservation:
        yield AccountScope("workspace", workspace.id, limits, shards=workspace.shards)
    if key.limits.need_reservation:
        yield AccountScope("key", key.key_id, key.limits)


def worst_case_words(call: Call, tokens: TokenCounts) -> int:
    """The most words that so many tokens are charged for."""
    by_tokens = call.workspace.words_method == "tokens"
    output = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else tokens.output
    if not call.workspace.charge_input_words:
        return output
    return output + sum(map(words.count_words, call.request.prompt_texts()))
