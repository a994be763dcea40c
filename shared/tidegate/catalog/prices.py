"""What a call costs, exactly, in USD.

The arithmetic is that of genai-prices (https://github.com/pydantic/genai-prices, 0.2.3): every token is priced once,
at its most specific price, and a long-context tier reprices the whole call. Prices of other service tiers than the
default one, and of batches, are not in the catalogue.
"""

from datetime import UTC, datetime
from decimal import Decimal

from tidegate.catalog.row import Model, Price, Rates
from tidegate.domain.usage import Tokens

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


def cost(model: Model, tokens: Tokens, at: float | None = None) -> Decimal | None:
    """What tokens and searches cost in USD; None when the model has no price: never 0 for unknown.

    A search without a price of its own costs nothing: its provider charges for the tokens only. `at` is the time of the
    call in UTC seconds, for prices that change by the day or the hour; without it, the price of the day on which the
    row was checked. Contradictory counts (more cached than input) subtract nothing.
    """
    price = in_force(model.prices, at)
    if price is None:
        return None
    rates = _tier(price, tokens.input)
    if rates.input is None or rates.output is None:
        return None
    total = _input(rates, rates.input, tokens) + _output(rates, rates.output, tokens)
    flat = (rates.request or 0) + tokens.searches * (rates.search or 0)
    return total / _MILLION + flat / _THOUSAND if flat else total / _MILLION


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
    fresh = max(0, tokens.input - tokens.cached - tokens.written)
    total = tokens.cached * _or(rates.cached, rate)
    if tokens.written:
        written = _or(rates.written, rate)
        longer = min(tokens.written_1h, tokens.written)
        total += (tokens.written - longer) * written + longer * _or(rates.written_1h, written)
    if tokens.audio_input and rates.audio_input is not None:
        known = min(tokens.audio_cached, tokens.audio_input, tokens.cached)
        audio = min(tokens.audio_input - known, fresh)
        fresh -= audio
        total += audio * rates.audio_input
        # What does not fit beside the cached tokens is among them; it has been counted at their price.
        among = min(tokens.audio_input - audio, tokens.cached)
        total += among * (_or(rates.audio_cached, _or(rates.cached, rates.audio_input)) - _or(rates.cached, rate))
    if tokens.image_input and rates.image_input is not None:
        images = min(tokens.image_input, fresh)
        fresh -= images
        total += images * rates.image_input
    return total + fresh * rate


def _output(rates: Rates, rate: Decimal, tokens: Tokens) -> Decimal:
    rest, total = tokens.output, Decimal(0)
    kinds = (
        (tokens.reasoning, rates.reasoning),
        (tokens.audio_output, rates.audio_output),
        (tokens.image_output, rates.image_output),
    )
    for count, own in kinds:
        if count and own is not None:
            rest -= count
            total += count * own
    return total + max(0, rest) * rate


def _or(own: Decimal | None, rate: Decimal) -> Decimal:
    return rate if own is None else own
