"""The worst case of a call, which its accounts must have headroom for."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.domain import words
from tidegate.domain.account import SETTLE_GRACE_SECONDS, AccountScope, BudgetShare, Hold, RateStatus, Reservation
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.limits import NO_AMOUNTS, Amounts, Number, Unit
from tidegate.domain.money import MONEY, exact_money
from tidegate.domain.record import quantize_usd
from tidegate.domain.settlement import shard_of
from tidegate.domain.usage import TokenCounts
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import LimitReached, ModelNotAllowed, ModelUnpriced
from tidegate.policy.metering.billing import WORDS_PER_TOKEN

PARALLEL_ANSWERS = 4
"""A call without `max_tokens` holds its model's longest answer if an unused budget pays for this many of them."""


class Headroom(Struct, frozen=True):
    """The rates left after the call, under "requests" and "tokens"; `max_tokens` is set if the answer was shortened."""

    rates: Mapping[str, RateStatus]
    max_tokens: int | None = None


class Refusal(Protocol):
    """A call whose worst case a limit does not allow, or is most of it. `policy.metering.refusal` implements it."""

    def first_max_tokens(self, reservation: Reservation) -> int | None:
        """Return the longest answer of which every budget pays several; None if the longest answer is not longer."""
        ...

    def max_tokens(self, error: LimitReached) -> int | None:
        """Return the longest answer that the call may have under the limit of `error`; None if it stays refused."""
        ...

    def explained(self, error: LimitReached) -> LimitReached:
        """Return `error` with what would make the call fit."""
        ...


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


def count_reservation(call: Call) -> Reservation | None:
    """Return a reservation that counts the call in its rates and holds nothing else; None if no rate is limited."""
    listed = scopes(call.principal, call.workspace)
    scopes_of_rates = tuple(replace(scope, limits=scope.limits.rates()) for scope in listed)
    if not any(scope.limits.need_reservation for scope in scopes_of_rates):
        return None
    return Reservation(_hold(call, call.request.model, scopes_of_rates, Amounts(), 0), scopes_of_rates)


def worst_case_reservation(
    call: Call,
    model_id: str,
    model: CatalogModel | None,
    sent: bytes | None = None,
    spent: Amounts = NO_AMOUNTS,
    accounts: tuple[AccountScope, ...] | None = None,
) -> Reservation | None:
    """Return the worst case of the call and the accounts to hold it in; None without limits.

    `sent` is the body for the provider; `spent` is what earlier attempts of the call are charged, and is held as well.
    `accounts` are those of `scopes`, if they are known. Raises `ModelUnpriced` when an account has a budget in USD and
    the model has no price.
    """
    if accounts is None:
        accounts = tuple(scopes(call.principal, call.workspace))
    if not accounts:
        return None
    tokens = call.request.worst_case(model, sent)
    usd = None if model is None else call_cost(model, tokens, call.started_at)
    if usd is None:
        if not call.workspace.allows_unpriced and _have_budget_in_usd(accounts):
            raise _unpriced(model_id)
        usd = Decimal(0)
    amounts = Amounts(tokens.input + tokens.output, worst_case_words(call, tokens), quantize_usd(usd))
    if spent is not NO_AMOUNTS:
        amounts = Amounts(amounts.tokens + spent.tokens, amounts.words, MONEY.add(amounts.usd, spent.usd))
    return Reservation(_hold(call, model_id, accounts, amounts, tokens.input), accounts)


@exact_money
def worst_case_with_hedge(
    call: Call, reservation: Reservation, other_id: str, other: CatalogModel | None, sent: bytes | None = None
) -> Reservation | None:
    """Return a reservation for two hedged models, which may both charge. None if the hedge lacks a needed price.

    `sent` is the body for the first model's provider.
    """
    try:
        hedge = worst_case_reservation(call, other_id, other, sent)
    except ModelUnpriced:
        return None
    if hedge is None:
        return None
    first, second = reservation.hold, hedge.hold
    amounts = Amounts(
        first.amounts.tokens + second.amounts.tokens,
        max(first.amounts.words, second.amounts.words),
        first.amounts.usd + second.amounts.usd,
    )
    return replace(
        reservation, hold=replace(first, amounts=amounts, input_tokens=first.input_tokens + second.input_tokens)
    )


def adds_max_tokens(call: Call) -> bool:
    """True if the call has no `max_tokens`, and gets one where the longest answer of its model does not fit."""
    return call.request.output_limit is None and call.workspace.adds_max_tokens


def is_large(reservation: Reservation) -> bool:
    """True if `large_shares` lists a budget."""
    held = reservation.hold.amounts
    for scope in reservation.scopes:
        tokens, words, usd = scope.quarters
        if held.tokens > tokens or held.words > words or held.usd > usd:
            return True
    return False


def large_shares(reservation: Reservation) -> list[BudgetShare]:
    """List the budgets of which the reservation is more than one `PARALLEL_ANSWERS`th."""
    held, answers = reservation.hold.amounts, PARALLEL_ANSWERS
    usd = MONEY.multiply(held.usd, answers)
    amounts: dict[Unit, Number] = {"tokens": held.tokens * answers, "words": held.words * answers, "usd": usd}
    return [budget for scope in reservation.scopes for budget in scope.budgets if amounts[budget.unit] > budget.share]


def worst_case_tokens(call: Call, model: CatalogModel | None, sent: bytes | None = None) -> TokenCounts:
    """Return the most tokens and searches to expect of the call. See `Request.worst_case`."""
    return call.request.worst_case(model, sent)


def _hold(call: Call, model_id: str, scopes: Sequence[AccountScope], amounts: Amounts, input_tokens: int) -> Hold:
    workspace = call.workspace
    # By position, in the order of `Hold`: names would take longer than all the rest.
    return Hold(
        call.id,
        workspace.id,
        call.principal.key_id,
        model_id,
        amounts,
        input_tokens,
        call.started_at,
        call.deadline + SETTLE_GRACE_SECONDS,
        tuple([scope.kind for scope in scopes]),
        workspace.first_day,
        shard_of(call.id, workspace.shards) if workspace.shards > 1 else 0,
    )


def _have_budget_in_usd(accounts: Sequence[AccountScope]) -> bool:
    return any(budget.unit == "usd" for account in accounts for budget in account.budgets)


def _unpriced(model_id: str) -> ModelUnpriced:
    text = (
        f"The model {model_id!r} has no price, but a budget in USD applies. The operator can declare its prices in"
        " TIDEGATE_PROVIDERS, or let the workspace use models without a price (allows_unpriced)."
    )
    return ModelUnpriced(text, param="model")


def _check_allowed(call: Call, model_id: str, workspace_route: str | None, key_route: str | None) -> None:
    """Raise `ModelNotAllowed` unless each owner's patterns match the model or the given name of its route."""
    workspace, key = call.workspace.effective_limits, call.principal.limits
    for kind, limits, route in (("workspace", workspace, workspace_route), ("key", key, key_route)):
        if not limits.allow_model(model_id, route):
            raise ModelNotAllowed(f"This {kind} may not use the model {model_id!r}.", param="model")


def scopes(key: Principal, workspace: Workspace) -> Iterator[AccountScope]:
    """Yield the accounts that hold the worst case of calls: those of the workspace and of the key that have limits."""
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
