"""Limits as words of the command line: `usd_per_month=100`, `models=openai/*,azure/*`, `tokens_per_day=none`."""

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
    """The option `--limits`, whose values go to `with_limits`."""
    parser.add_argument(
        "--limits",
        metavar="NAME=VALUE",
        nargs="+",
        type=parse_limit,
        default=[],
        help=f"none takes a limit away; the names: {', '.join(LIMIT_NAMES)}",
    )


def with_limits(limits: Limits, values: Sequence[tuple[str, LimitValue]]) -> Limits:
    """`limits` with those that were asked for."""
    return replace(limits, **dict(values))


def as_options(limits: Limits) -> str:
    """In the words of the option `--limits`."""
    fields = limits_to_json(limits).items()
    words = (f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}" for name, value in fields)
    return " ".join(words) or "none"


def parse_limit(text: str) -> tuple[str, LimitValue]:
    """One of them. Raises `ArgumentTypeError`, which argparse shows."""
    name, _, value = text.partition("=")
    if name not in LIMIT_NAMES:
        raise argparse.ArgumentTypeError(f"{name!r} is no limit; these are: {', '.join(LIMIT_NAMES)}")
    if value == "none":
        return name, None
    if name in ("models", "providers"):
        return name, tuple(each.strip() for each in value.split(",") if each.strip())
    try:
        amount = Decimal(value)
        integer = int(amount)
    except (InvalidOperation, ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} has no number: write {name}=100, or {name}=none") from None
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative")
    if name.startswith("usd_"):
        return name, amount
    if integer != amount:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return name, integer
