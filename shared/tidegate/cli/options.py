"""The options of a workspace other than its limits: counting, timeout, caching, routes, guardrails and shards."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from tidegate.domain.guardrails import Guardrail
from tidegate.domain.routes import Route
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import Json, decode
from tidegate.policy.guardrails.definition import parse_guardrails
from tidegate.policy.routing.route_config import parse_routes

_T = TypeVar("_T")

_NAMES = (
    *("name", "words_method", "charge_input_words", "first_day"),
    *("allows_unpriced", "lowers_max_tokens", "adds_max_tokens", "routes", "guardrails", "shards", "batch_mode"),
    *("trace_sample", "trace_failures", "trace_callers", "trace_days", "trace_mask"),
)
_REMOVABLE = ("timeout_seconds", "cache_ttl_seconds", "batch_webhook")
"""Options that the value `none` removes."""

_NONE = "none"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `with_options` reads. The control plane validates their values."""
    parser.add_argument("--words-method", choices=("tokens", "unicode"), help="how words are counted")
    parser.add_argument("--first-day", type=int, metavar="DAY", help="the day on which its months begin, 1 to 28")
    parser.add_argument("--shards", type=int, metavar="N", help="how many items share its account; can only grow")
    for name, field, help_text in (
        ("--charge-input-words", "charge_input_words", "also charge for the words of prompts"),
        ("--allow-unpriced", "allows_unpriced", "allow models without a price under a budget in USD"),
        ("--lower-max-tokens", "lowers_max_tokens", "lower max_tokens to what the budgets have left"),
        (
            "--add-max-tokens",
            "adds_max_tokens",
            "add max_tokens to calls without it if the budgets have too little left",
        ),
    ):
        parser.add_argument(name, dest=field, action=argparse.BooleanOptionalAction, help=help_text)
    timeout_help = "how long a call may take, at most the gateway's own timeout; none: the gateway's timeout"
    parser.add_argument("--timeout", dest="timeout_seconds", type=_parse_seconds, metavar="SECONDS", help=timeout_help)
    ttl_help = "how long replies are cached for equal calls; none: only if a call asks for caching"
    parser.add_argument("--cache-ttl", dest="cache_ttl_seconds", type=_parse_integer, metavar="SECONDS", help=ttl_help)
    webhook_help = (
        "an https URL that is told when a batch ends, signed with its TIDEGATE_WEBHOOK_SECRET; none: nobody is"
    )
    parser.add_argument("--batch-webhook", metavar="URL", help=webhook_help)
    mode_help = (
        "how batches are answered that do not say so: by calls, or by their provider's batch API, at half the price"
    )
    parser.add_argument("--batch-mode", choices=("calls", "provider_batch"), help=mode_help)
    list_help = "a JSON list that replaces the present one, or @FILE; see "
    parser.add_argument("--routes", type=_parse_routes, metavar="JSON", help=f"{list_help}docs/ROUTES.md")
    parser.add_argument("--guardrails", type=_parse_guardrails, metavar="JSON", help=f"{list_help}docs/GUARDRAILS.md")

    _add_trace_options(parser)


def _add_trace_options(parser: argparse.ArgumentParser) -> None:
    sample_help = "the part of its calls whose content is kept as traces, 0 to 1"
    parser.add_argument("--trace-sample", type=float, metavar="SHARE", help=sample_help)
    failures_help = "keep the content of all calls that fail"
    parser.add_argument("--trace-failures", action=argparse.BooleanOptionalAction, help=failures_help)
    callers_help = "keep the content of calls that ask for it with observability: true; default: yes"
    parser.add_argument("--trace-callers", action=argparse.BooleanOptionalAction, help=callers_help)
    parser.add_argument("--trace-days", type=int, metavar="DAYS", help="how long traces are kept, 1 to 90; default: 7")
    mask_help = "a guardrail that masks content before it is kept, e.g. secrets; can be repeated; none: no masking"
    parser.add_argument("--trace-mask", metavar="NAME", action="append", help=mask_help)


def with_options(workspace: Workspace, options: argparse.Namespace) -> Workspace:
    """Return `workspace` with the options given."""
    values = {name: getattr(options, name) for name in (*_NAMES, *_REMOVABLE)}
    changes = {name: value for name, value in values.items() if value is not None}
    removals = {name: None for name in _REMOVABLE if values[name] == _NONE}
    if values["trace_mask"] is not None:
        changes["trace_mask"] = tuple(name for name in values["trace_mask"] if name != _NONE)
    return replace(workspace, **(changes | removals))


def _parse_seconds(text: str) -> float | str:
    try:
        return text if text == _NONE else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write a number of seconds, or {_NONE}") from None


def _parse_integer(text: str) -> int | str:
    if text != _NONE and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write a whole number of seconds, or {_NONE}")
    return text if text == _NONE else int(text)


def _parse_routes(text: str) -> tuple[Route, ...]:
    return _parse_list(text, parse_routes)


def _parse_guardrails(text: str) -> tuple[Guardrail, ...]:
    return _parse_list(text, parse_guardrails)


def _parse_list(text: str, parse: Callable[[Json], _T]) -> _T:
    """Parse the JSON in `text`, or in the file that it names as `@FILE`. Raises `ArgumentTypeError`."""
    try:
        return parse(decode(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {text!r}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None
    except InvalidRequest as error:
        raise argparse.ArgumentTypeError(f"{error.param}: {error.message}") from None
