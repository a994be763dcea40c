"""The option `--limits`: `usd_per_month=100`, `models=openai/*,azure/*`, `tokens_per_day=none`."""

import argparse
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from msgspec.structs import replace

from tidegate.control.views import limits_to_json
from tidegate.domain.limits import Limits

LimitValue: TypeAlias = int | Decimal | tuple[str, ...] | None

LIMIT_NAMES = Limits.__struct_fields__


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the option `--limits`, whose values go to `with_limits`."""
    help_text = f"limits to set; NAME=none removes one. Names: {', '.join(LIMIT_NAMES)}"
    parser.add_argument("--limits", metavar="NAME=VALUE", nargs="+", type=parse_limit, default=[], help=help_text)


def with_limits(limits: Limits, values: Sequence[tuple[str, LimitValue]]) -> Limits:
    """Return `limits` with the values set."""
    return replace(limits, **dict(values))


def as_options(limits: Limits) -> str:
    """Write limits in the form of the option `--limits`."""
    fields = limits_to_json(limits).items()
    words = (
        f"{name}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}" for name, value in fields
    )
    return " ".join(words) or "none"


def parse_limit(text: str) -> tuple[str, LimitValue]:
    """Parse one value of `--limits`. Raises `ArgumentTypeError`."""
    name, _, value = text.partition("=")
    if name not in LIMIT_NAMES:
        raise argparse.ArgumentTypeError(f"{name!r} is not a valid limit; use one of: {', '.join(LIMIT_NAMES)}")
    if value == "none":
        return name, None
    if name in ("models", "providers"):
        return name, tuple(each.strip() for each in value.split(",") if each.strip())
    try:
        amount = Decimal(value)
        integer = int(amount)
    except (InvalidOperation, ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} does not have a number: write {name}=100, or {name}=none") from None
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must not be negative")
    if name.startswith("usd_"):
        return name, amount
    if integer != amount:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number")
    return name, integer
