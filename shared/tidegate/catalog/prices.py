"""What a call costs, exactly, in USD.

The arithmetic is that of genai-prices (https://github.com/pydantic/genai-prices, 0.2.3): every token is priced once,
at its most specific price, and a long-context tier reprices the whole call.
"""

from datetime import UTC, datetime
from decimal import Decimal

from tidegate.catalog.row import Model, Price, Rates
from tidegate.domain.usage import Tokens

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


def cost(model: Model, tokens: Tokens, at: float | None = None) -> Decimal | None:
    """What the tokens cost in USD; None when the model has no price: never 0 for unknown.

    `at` is the time of the call in UTC seconds, for prices that change by the day or the hour; without it, the price
    of the day on which the row was checked. Contradictory counts (more cached than input) subtract nothing.
    """
    price = in_force(model.prices, at)
    if price is None:
        return None
    rates = _tier(price, tokens.input)
    if rates.input is None or rates.output is None:
        return None
    total = _input(rates, rates.input, tokens) + _output(rates, rates.output, tokens)
    return total / _MILLION + (rates.request or 0) / _THOUSAND


def in_force(prices: tuple[Price, ...], at: float | None = None) -> Price | None:
    """The last price that applies at that time; the first one at no particular time."""
    if at is not None:
        for price in reversed(prices):
            if _applies(price, at):
                return price
    return prices[0] if prices else None


def _applies(price: Price, at: float) -> bool:
    if price.since is not None and datetime.fromtimestamp(at, UTC).date() < price.since:
        return False
    if price.between is None:
        return True
    start, end = price.between
    minute = at % 86_400 / 60
    return start <= minute < end if start <= end else minute >= start or minute < end


def _tier(price: Price, input_tokens: int) -> Rates:
    """The rates for a call with that much input, cached and written tokens included."""
    found: Rates = price
    for tier in price.tiers:
        if input_tokens > tier.above:
            found = tier
    return found


def _input(rates: Rates, rate: Decimal, tokens: Tokens) -> Decimal:
    cached = rate if rates.cached is None else rates.cached
    written = rate if rates.written is None else rates.written
    fresh = max(0, tokens.input - tokens.cached - tokens.written)
    return fresh * rate + tokens.cached * cached + tokens.written * written


def _output(rates: Rates, rate: Decimal, tokens: Tokens) -> Decimal:
    if rates.reasoning is None:
        return tokens.output * rate
    return max(0, tokens.output - tokens.reasoning) * rate + tokens.reasoning * rates.reasoning
