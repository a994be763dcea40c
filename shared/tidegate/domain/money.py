"""The decimal context of all arithmetic with money: exact sums, and errors in place of NaN."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, DivisionByZero, InvalidOperation, Overflow, getcontext, setcontext
from functools import wraps
from typing import ParamSpec, TypeVar

MONEY = Context(prec=38, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""38 digits, as many as a number in DynamoDB has: 20 before the point and the 18 decimal places of stored amounts."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def exact_money(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make the function calculate in the context `MONEY`, whatever context its thread has. Not for coroutines.

    Takes half a microsecond; `localcontext` takes three times as long, because it copies the context.
    """

    @wraps(function)
    def calculate(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        earlier = getcontext()
        if earlier is MONEY:
            return function(*args, **kwargs)
        setcontext(MONEY)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(earlier)

    return calculate
