"""Find the longest answer that a limit still allows to a refused call, or explain why the limit allows no answer.

Loaded with the first call that a limit does not allow.
"""

from decimal import Decimal

from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost
from tidegate.domain.account import Reservation
from tidegate.domain.call import Call
from tidegate.domain.limits import NO_AMOUNTS, Amounts, Number
from tidegate.domain.money import exact_money
from tidegate.errors import LimitReached
from tidegate.policy.metering.reservation import (
    PARALLEL_ANSWERS,
    adds_max_tokens,
    large_shares,
    worst_case_tokens,
    worst_case_words,
)

SHORTEST_ANSWER_TOKENS = 16
"""The shortest answer that a call is shortened to. If the limits allow less, the call is refused."""

USUAL_ANSWER_TOKENS = 4_096
SMALL_ANSWER_TOKENS = 256
LARGEST_SHARE = 16
"""A call without `max_tokens` may answer with `USUAL_ANSWER_TOKENS`, or with one `LARGEST_SHARE`th of what the limit
still allows if that is more. If it allows less than `PARALLEL_ANSWERS` usual answers, the call gets that part, and less
than `SMALL_ANSWER_TOKENS` only if there is no more. So parallel calls need not wait for the first one.

Ten parallel calls under an unused budget of 0.50 USD, measured in 2026-11: all pass with gpt-4o (4,096 tokens each),
gpt-4.1-mini and gpt-5; nine with o1 and eight with gpt-4, whose output costs USD 60 for a million tokens. Held at the
model's longest answer, they were three, nine, none, none and one.
"""

_UNITS = ("tokens", "words", "usd")


class RefusedCall:
    """Implements `Refusal`. `sent` and `spent` are those of `worst_case_reservation`."""

    def __init__(
        self, call: Call, model: CatalogModel | None, sent: bytes | None = None, spent: Amounts = NO_AMOUNTS
    ) -> None:
        self._call = call
        self._model = model
        self._tokens = worst_case_tokens(call, model, sent)
        self._spent = spent

    def max_tokens(self, error: LimitReached) -> int | None:
        """Return the longest answer that the call may have under the limit of `error`; None if it stays refused.

        The caller's own limit is only lowered where the workspace allows it. A call without one gets a part of what a
        budget has left. It waits for the next minute if it fits into an empty one, and else gets a part of that.
        """
        if not adds_max_tokens(self._call):
            lowers = self._call.workspace.lowers_max_tokens
            return self.affordable(error.limit, error.remaining) if lowers else None
        is_rate = error.limit.endswith("_per_minute")
        if is_rate and error.retry_after_seconds is not None:
            return None
        if not self._tokens.output or error.limit.partition("_per_")[0] not in _UNITS:
            return None
        affordable = self.affordable(error.limit, error.largest if is_rate else error.remaining)
        # If the shortest answer does not fit either, the error for it says what is missing.
        return SHORTEST_ANSWER_TOKENS if affordable is None else _part_of(affordable)

    def first_max_tokens(self, reservation: Reservation) -> int | None:
        """Return the longest answer of which every budget pays several; None if the longest answer is not longer."""
        limits = [
            _part_of(self.affordable(budget.name, budget.share) or SHORTEST_ANSWER_TOKENS)
            for budget in large_shares(reservation)
        ]
        longest = self._tokens.output // self._call.request.choices
        return min((limit for limit in limits if limit < longest), default=None)

    @exact_money
    def affordable(self, limit: str, available: Number) -> int | None:
        """Return the longest answer in tokens that `available` of the limit pays; None if it is too short to use."""
        tokens, call = self._tokens, self._call
        if not tokens.output:  # an operation without an answer in tokens
            return None
        prompt_only = replace(tokens, output=0, audio_output=0, image_output=0)
        match limit.partition("_per_")[0]:
            case "tokens":
                price_per_token, available = Decimal(1), available - tokens.input - self._spent.tokens
            case "words":
                prompt = worst_case_words(call, prompt_only)
                price_per_token = Decimal(worst_case_words(call, tokens) - prompt) / tokens.output
                available -= prompt
            case "usd" if self._model is not None:
                prompt_usd = call_cost(self._model, prompt_only, call.started_at)
                usd = call_cost(self._model, tokens, call.started_at)
                if prompt_usd is None or usd is None:
                    return None
                price_per_token = (usd - prompt_usd) / tokens.output
                available = available - prompt_usd - self._spent.usd
            case _:
                return None
        max_tokens = int(available / price_per_token) // call.request.choices if price_per_token else 0
        return max_tokens if max_tokens >= SHORTEST_ANSWER_TOKENS else None

    def explained(self, error: LimitReached) -> LimitReached:
        """Return `error` with what would make the call fit."""
        if error.limit.partition("_per_")[0] not in _UNITS or not self._tokens.output:
            return error
        affordable = self.affordable(error.limit, error.remaining)
        if affordable is None:
            advice = "Even the shortest answer to this prompt does not fit."
        elif self._call.request.output_limit is None:
            advice = f"With max_tokens of at most {affordable} it fits."
        else:
            advice = (
                f"With max_tokens of at most {affordable} it fits; a workspace with lowers_max_tokens"
                " (--lower-max-tokens) lowers it for its calls."
            )
        error.message = f"{error.message} {advice} A call with dry_run: true shows what it needs."
        return error


def _part_of(affordable: int) -> int:
    part = max(affordable // LARGEST_SHARE, min(USUAL_ANSWER_TOKENS, affordable // PARALLEL_ANSWERS))
    return max(part, min(affordable, SMALL_ANSWER_TOKENS))
