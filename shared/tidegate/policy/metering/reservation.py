"""The worst case of a call, which its accounts must have headroom for."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.domain import words
from tidegate.domain.account import SETTLE_GRACE_SECONDS, AccountScope, Hold, RateStatus, Reservation
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.limits import Amounts
from tidegate.domain.record import quantize_usd
from tidegate.domain.settlement import shard_of
from tidegate.domain.usage import TokenCounts
from tidegate.errors import LimitReached, ModelNotAllowed, ModelUnpriced
from tidegate.policy.metering.billing import WORDS_PER_TOKEN

SHORTEST_ANSWER_TOKENS = 16
"""The shortest answer that a call is shortened to. If the limits allow less, the call is refused."""


class Headroom(Struct, frozen=True):
    """The rates left after the call, under "requests" and "tokens"; `max_tokens` is set if the answer was shortened."""

    rates: Mapping[str, RateStatus]
    max_tokens: int | None = None


UNLIMITED_HEADROOM = Headroom({})


def check_model_allowed(call: Call, model_id: str) -> None:
    """Raise `ModelNotAllowed` if the workspace or the key has patterns of allowed models and none matches."""
    _check_allowed(call, model_id, None, None)


def allowed_deployments(call: Call, resolution: Resolution) -> Resolution:
    """Return the resolution without deployments that the workspace or the key may not use.

    A pattern matches the model or the route's name. A workspace's patterns do not match the name of its own route: it
    could choose an allowed name. Raises `ModelNotAllowed` when no deployment is left.
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
    """Return the worst case of the call and the accounts to hold it in; None without limits.

    Raises `ModelUnpriced` when an account has a budget in USD and the model has no price.
    """
    scopes = tuple(_scopes(call))
    if not scopes:
        return None
    tokens = worst_case_tokens(call, model)
    usd = None if model is None else call_cost(model, tokens, call.started_at)
    has_budget = any(budget.unit == "usd" for scope in scopes for budget in scope.limits.budgets())
    if usd is None and has_budget and not call.workspace.allows_unpriced:
        raise ModelUnpriced(f"The model {model_id!r} has no price, but a budget in USD applies.", param="model")
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
    """Return a reservation for two hedged models: one answers, and the other one charges for the prompt.

    It holds the greater worst case, and one more prompt at the greater price. None if the hedge lacks a needed price.
    """
    try:
        hedge = worst_case_reservation(call, other_id, other)
    except ModelUnpriced:
        return None
    if hedge is None:
        return None
    first, second = reservation.hold.amounts, hedge.hold.amounts
    prompt = replace(worst_case_tokens(call, model), output=0)
    prices = [each and call_cost(each, prompt, call.started_at) for each in (model, other)]
    amounts = Amounts(
        max(first.tokens, second.tokens) + prompt.input,
        max(first.words, second.words),
        max(first.usd, second.usd) + quantize_usd(max(price or Decimal(0) for price in prices)),
    )
    hold = replace(reservation.hold, amounts=amounts, input_tokens=reservation.hold.input_tokens + prompt.input)
    return replace(reservation, hold=hold)


def worst_case_tokens(call: Call, model: CatalogModel | None) -> TokenCounts:
    """Return the most tokens and searches to expect of the call. See `Request.worst_case`."""
    return call.request.worst_case(model)


def affordable_max_tokens(call: Call, model: CatalogModel | None, error: LimitReached) -> int | None:
    """Return the longest answer in tokens that fits into the limit of `error`; None if it is too short to be of use."""
    worst_case = worst_case_tokens(call, model)
    if not worst_case.output:  # an operation without an answer in tokens
        return None
    prompt_only = replace(worst_case, output=0)
    match error.limit.partition("_per_")[0]:
        case "tokens":
            price_per_token, available = Decimal(1), error.remaining - worst_case.input
        case "words":
            prompt = worst_case_words(call, prompt_only)
            answer = worst_case_words(call, worst_case) - prompt
            price_per_token, available = Decimal(answer) / worst_case.output, error.remaining - prompt
        case "usd" if model is not None:
            prompt_usd = call_cost(model, prompt_only, call.started_at)
            usd = call_cost(model, worst_case, call.started_at)
            if prompt_usd is None or usd is None:
                return None
            price_per_token, available = (usd - prompt_usd) / worst_case.output, error.remaining - prompt_usd
        case _:
            return None
    max_tokens = int(available / price_per_token) // call.request.choices if price_per_token else 0
    return max_tokens if max_tokens >= SHORTEST_ANSWER_TOKENS else None


def _check_allowed(call: Call, model_id: str, workspace_route: str | None, key_route: str | None) -> None:
    """Raise `ModelNotAllowed` unless each owner's patterns match the model or the given name of its route."""
    workspace, key = call.workspace.effective_limits, call.principal.limits
    for kind, limits, route in (("workspace", workspace, workspace_route), ("key", key, key_route)):
        if not limits.allow_model(model_id, route):
            raise ModelNotAllowed(f"This {kind} may not use the model {model_id!r}.", param="model")


def _scopes(call: Call) -> Iterator[AccountScope]:
    workspace, key = call.workspace, call.principal
    limits = workspace.effective_limits
    if limits.need_reservation:
        yield AccountScope("workspace", workspace.id, limits, shards=workspace.shards)
    if key.limits.need_reservation:
        yield AccountScope("key", key.key_id, key.limits)


def worst_case_words(call: Call, tokens: TokenCounts) -> int:
    """Return the most words that a call with these tokens can be charged."""
    by_tokens = call.workspace.words_method == "tokens"
    output = round(WORDS_PER_TOKEN * tokens.output) if by_tokens else tokens.output
    if not call.workspace.charge_input_words:
        return output
    return output + sum(map(words.count_words, call.request.prompt_texts()))
