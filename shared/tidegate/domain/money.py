"""The decimal context of all arithmetic with money: exact sums, and errors in place of NaN."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

MONEY = Context(prec=38, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""38 digits, as many as a number in DynamoDB has: 20 before the point and the 18 decimal places of stored amounts."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def exact_money(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make the function calculate in the context `MONEY`, whatever context its thread has. Not for coroutines.

    Takes a microsecond.
    """

    @wraps(function)
    def calculate(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with localcontext(MONEY):
            return function(*args, **kwargs)

    return calculate
