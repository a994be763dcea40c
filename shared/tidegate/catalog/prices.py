"""The exact cost of a call in USD.

The arithmetic follows genai-prices (https://github.com/pydantic/genai-prices, 0.2.3): every token is priced once, at
its most specific rate, and a long-context tier reprices the whole call. The catalogue has prices of the default service
tier; `options.py` and `batch_prices.py` have those of other tiers and of batches.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from tidegate.catalog.row import CatalogModel, Price, Rates
from tidegate.domain.money import MONEY, exact_money
from tidegate.domain.usage import TokenCounts

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)
_ZERO = Decimal(0)
_divide = MONEY.divide


def call_cost(model: CatalogModel, tokens: TokenCounts, at: float | None = None) -> Decimal | None:
    """The cost of tokens and searches in USD; None when the model has no price: never 0 for unknown.

    A search without a price costs nothing: such providers charge only for tokens. `at` is the time of the call (UTC
    seconds), for prices that change by day or hour; None uses the price of the day on which the row was checked.
    Contradictory counts, such as more cached tokens than input, never make a part of the cost negative.
    """
    prices = model.prices
    price = prices[0] if len(prices) == 1 else price_in_force(prices, at)
    if price is None:
        return None
    rates = price.text_rates
    if (
        rates is None
        or tokens.written
        or tokens.audio_input
        or tokens.image_input
        or tokens.audio_output
        or tokens.image_output
        or tokens.searches
        or (tokens.reasoning and price.reasoning is not None)
    ):
        return _any_cost(price, tokens)
    cached = tokens.cached
    fresh, total = tokens.input - cached, tokens.output * rates.output
    if cached:
        total += cached * rates.cached
    if fresh > 0:
        total += fresh * rates.input
    return _divide(total, rates.divisor)


@exact_money
def _any_cost(price: Price, tokens: TokenCounts) -> Decimal | None:
    """The cost of any call at a price that is in force; see `call_cost`."""
    rates = _tier_rates(price, tokens.input) if price.tiers else price
    if rates.input is None or rates.output is None:
        return None
    total = _input_cost(rates, rates.input, tokens) + _output_cost(rates, rates.output, tokens)
    flat = (rates.request or 0) + tokens.searches * (rates.search or 0)
    return total / _MILLION + flat / _THOUSAND if flat else total / _MILLION


class CostPart(Struct, frozen=True):
    """The cost of one kind of token, or of searches. `rate_usd` is for a million tokens, or a thousand searches."""

    kind: str
    count: int
    rate_usd: Decimal
    cost_usd: Decimal


@exact_money
def cost_parts(model: CatalogModel, tokens: TokenCounts, at: float | None = None) -> Sequence[CostPart] | None:
    """The cost of each kind of text token, without those that the call has not used; None if the model has no price.

    Tokens of audio and of images are counted as text: records have no counts of them.
    """
    price = price_in_force(model.prices, at)
    rates = None if price is None else _tier_rates(price, tokens.input)
    if rates is None or rates.input is None or rates.output is None:
        return None
    return _parts(rates, rates.input, rates.output, tokens)


@exact_money
def cost_parts_of_sum(model: CatalogModel, tokens: TokenCounts, calls: int) -> Sequence[CostPart] | None:
    """The cost of the summed text tokens of many calls, by kind; None if the model has no price.

    At the price of the day on which the row was checked, and without its higher rates for long prompts: a sum does not
    tell how long each prompt was.
    """
    rates = price_in_force(model.prices)
    if rates is None or rates.input is None or rates.output is None:
        return None
    return _parts(rates, rates.input, rates.output, tokens, calls)


def price_in_force(prices: tuple[Price, ...], at: float | None = None) -> Price | None:
    """The last price that applies at the time `at`; the first price if `at` is None or none applies."""
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


def _tier_rates(price: Price, input_tokens: int) -> Rates:
    """The rates for a call with this much input, including cached and written tokens."""
    found: Rates = price
    for tier in price.tiers:
        if input_tokens > tier.above:
            found = tier
    return found


def _input_cost(rates: Rates, rate: Decimal, tokens: TokenCounts) -> Decimal:
    fresh = tokens.input - tokens.cached - tokens.written
    if fresh < 0:
        fresh = 0
    total = tokens.cached * (rate if rates.cached is None else rates.cached)
    if tokens.written:
        written = _rate_or(rates.written, rate)
        written_1h = min(tokens.written_1h, tokens.written)
        total += (tokens.written - written_1h) * written + written_1h * _rate_or(rates.written_1h, written)
    if tokens.audio_input and rates.audio_input is not None:
        audio_cached = min(tokens.audio_cached, tokens.audio_input, tokens.cached)
        audio = min(tokens.audio_input - audio_cached, fresh)
        fresh -= audio
        total += audio * rates.audio_input
        # Audio tokens beyond the uncached input are cached ones, which were counted at the cached rate above.
        audio_in_cache = min(tokens.audio_input - audio, tokens.cached)
        audio_rate = _rate_or(rates.audio_cached, _rate_or(rates.cached, rates.audio_input))
        total += audio_in_cache * (audio_rate - _rate_or(rates.cached, rate))
    if tokens.image_input and rates.image_input is not None:
        images = min(tokens.image_input, fresh)
        fresh -= images
        total += images * rates.image_input
    return total + fresh * rate


def _output_cost(rates: Rates, rate: Decimal, tokens: TokenCounts) -> Decimal:
    plain_tokens, total = tokens.output, _ZERO
    if tokens.reasoning and rates.reasoning is not None:
        plain_tokens -= tokens.reasoning
        total += tokens.reasoning * rates.reasoning
    if tokens.audio_output and rates.audio_output is not None:
        plain_tokens -= tokens.audio_output
        total += tokens.audio_output * rates.audio_output
    if tokens.image_output and rates.image_output is not None:
        plain_tokens -= tokens.image_output
        total += tokens.image_output * rates.image_output
    return total + (plain_tokens if plain_tokens > 0 else 0) * rate


def _rate_or(own: Decimal | None, rate: Decimal) -> Decimal:
    return rate if own is None else own


def _parts(
    rates: Rates, input_rate: Decimal, output_rate: Decimal, tokens: TokenCounts, calls: int = 1
) -> Sequence[CostPart]:
    reasoning = min(tokens.reasoning, tokens.output)
    kinds = (
        ("input", tokens.input - tokens.cached - tokens.written, input_rate, _MILLION),
        ("cached", tokens.cached, _rate_or(rates.cached, input_rate), _MILLION),
        ("written", tokens.written, _rate_or(rates.written, input_rate), _MILLION),
        ("output", tokens.output - reasoning, output_rate, _MILLION),
        ("reasoning", reasoning, _rate_or(rates.reasoning, output_rate), _MILLION),
        ("searches", tokens.searches, _rate_or(rates.search, Decimal(0)), _THOUSAND),
        ("request", calls if rates.request else 0, _rate_or(rates.request, Decimal(0)), _THOUSAND),
    )
    return [CostPart(kind, count, rate, count * rate / unit) for kind, count, rate, unit in kinds if count > 0]
