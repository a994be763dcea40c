"""Call records at random, and the sums that anybody would calculate of them."""

import random
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from tidegate.domain.aggregate import Aggregate, cost_usd
from tidegate.domain.ids import ulid
from tidegate.domain.record import iso_time

SUMMED = ("input_tokens", "output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens", "searches", "words")
NAMES = {"key": "key_id", "app": "app_id", "session": "session_id", "endpoint": "endpoint", "provider": "provider"}


def call_record(source: random.Random, at: float, **fields: Any) -> dict[str, Any]:
    """The record of a call that began at that time."""
    number = source.randrange(12)
    status = source.choices(("ok", "failed", "cached", "cancelled", "lost"), (90, 4, 3, 2, 1))[0]
    is_asked = status not in ("cached", "lost")
    return {
        "id": ulid(at),
        "time": iso_time(at),
        "model": "fast",
        "provider": "openai" if number % 2 else "mistral",
        "answered_model": f"model-{(number + source.randrange(3)) % 8}",
        "key_id": f"key_{number}",
        "app_id": f"app_{number % 4}" if number % 4 else None,
        "session_id": f"session-{number}-{source.randrange(40)}" if number % 3 else None,
        "endpoint": "/v1/messages" if number % 5 == 0 else "/v1/chat/completions",
        "status": status,
        "error_code": source.choice(("provider_timeout", "provider_error")) if status == "failed" else None,
        "attempts": int(is_asked),
        **{name: source.randrange(2_000) for name in SUMMED},
        "input_words": source.randrange(900),
        "cost_usd": None if number == 7 else Decimal(source.randrange(10**16)).scaleb(-18),
        "seconds": source.lognormvariate(1, 0.7),
        "first_event_seconds": source.lognormvariate(-1, 0.5) if is_asked else None,
        "workspace_id": "ws_one",
        **fields,
    }


def expected_sums(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums of records, without the aggregates' own code."""
    listed = list(records)
    return {
        "calls": sum(record.get("lines", 1) for record in listed),
        **{name: sum(record.get(name) or 0 for record in listed) for name in SUMMED},
        "cost_usd": sum((record["cost_usd"] or Decimal(0) for record in listed), Decimal(0)),
    }


def actual_sums(aggregate: Aggregate) -> dict[str, Any]:
    """The sums of an aggregate, in the same form."""
    names = ("calls", "failed", "cached", "unpriced", *SUMMED, "input_words", "cost")
    columns = dict(zip(names, zip(*aggregate.sums.values(), strict=True), strict=True))
    return {
        **{name: sum(columns[name]) for name in ("calls", *SUMMED)},
        "cost_usd": cost_usd(sum(columns["cost"])),
    }
