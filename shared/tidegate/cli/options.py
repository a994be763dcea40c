"""What a workspace has beside its limits, as options: how it counts, and what becomes of calls that do not fit."""

import argparse
from dataclasses import replace

from tidegate.domain.workspace import Workspace

_NAMES = (
    "name",
    "words_method",
    "charge_input_words",
    "first_day",
    "allows_unpriced",
    "lowers_max_tokens",
    "shards",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of which `with_options` takes those that are said. The control plane says what they may be."""
    parser.add_argument("--words-method", choices=("tokens", "unicode"), help="how its words are counted")
    parser.add_argument("--first-day", type=int, metavar="DAY", help="the day on which its months begin, 1 to 28")
    parser.add_argument("--shards", type=int, metavar="N", help="items that share its calls; they only become more")
    for name, field, said in (
        ("--charge-input-words", "charge_input_words", "charge for the words of prompts, too"),
        ("--allow-unpriced", "allows_unpriced", "take models without a price under a budget in USD, as 0"),
        ("--lower-max-tokens", "lowers_max_tokens", "shorten calls that ask for more than is left"),
    ):
        parser.add_argument(name, dest=field, action=argparse.BooleanOptionalAction, help=said)


def with_options(workspace: Workspace, options: argparse.Namespace) -> Workspace:
    """`workspace` with those that were said."""
    said = {name: getattr(options, name) for name in _NAMES}
    return replace(workspace, **{name: value for name, value in said.items() if value is not None})
