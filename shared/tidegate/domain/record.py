"""The record of a finished call, and its increments of the counters. Neither contains prompts or answers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from tidegate.domain.call import Outcome, recorded_name
from tidegate.domain.call_event import CallEvent, format_timeline, parse_timeline
from tidegate.domain.money import MONEY, exact_money

RecordValue: TypeAlias = str | int | float | bool | Decimal | None

RETENTION_SECONDS = 400 * 86400
"""Records are kept for 400 days: a year, and time for its audit. Counters are kept for ever."""

_COUNTED_FIELDS = (
    *("input_tokens", "output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens", "searches"),
    *("words", "input_words"),
)

_SUMMED_FIELDS = (*_COUNTED_FIELDS, "cost_usd")

COUNTERS = (
    *("calls", "calls_ok", "calls_cancelled", "calls_failed", "calls_cached", "calls_lost", "calls_dry_run"),
    "calls_unpriced",
    *_COUNTED_FIELDS,
)
"""The integer counters of a period; a period also has `cost_usd`, a decimal."""

MIN_GENERATION_SECONDS = 0.05
"""An answer that comes within this time has come in one piece: it tells nothing about the speed of its model."""

MAX_IGNORED_CHARACTERS = 200
"""A caller can make the list of ignored fields long: a group chat has 900 messages with a `name`."""

RECORD_FIELDS = (
    *("id", "time", "surface", "endpoint", "stream", "model", "provider", "answered_model", "deployment", "status"),
    *("error_code", "finish_reason", "native_finish_reason", "attempts", "failed_attempts", "input_tokens"),
    *("output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens", "searches", "estimated", "usage_fault"),
    *("words", "input_words", "output_words", "words_method", "cost_usd", "held_usd", "first_event_seconds", "seconds"),
    *("tokens_per_second", "workspace_id", "key_id", "app_id", "session_id", "agent_id", "batch_id", "cache"),
    *("parent_agent_id", "guardrails", "ignored", "timeline", "trace_until", "trace_id"),
)
"""The fields of a record. What is None is not stored. Lost calls and parts of batches have few fields."""

_NO_FIELDS: dict[str, RecordValue] = dict.fromkeys(RECORD_FIELDS)

# A fixed scale: sums stay exact within the 38 digits of a DynamoDB number and of `MONEY`.
_SCALE = Decimal("1e-18")

_DAY_SECONDS = 86_400

_text_of_milliseconds = lru_cache(1000)(".{:03}Z".format)


class CallDetails(Struct, frozen=True):
    """The part of a record that a log line has as well: where the call came from, and the path that it took."""

    endpoint: str | None
    session_id: str | None
    agent_id: str | None
    parent_agent_id: str | None
    batch_id: str | None
    trace_id: str | None
    cache: str | None
    guardrails: str | None
    ignored: str | None
    held_usd: Decimal | None
    tokens_per_second: float | None
    timeline: str | None


def call_record(outcome: Outcome) -> dict[str, RecordValue]:
    """The call's record. `time` is the start of the call, durations are seconds, `cost_usd` is None if unpriced.

    Durations are differences of UTC seconds, which are multiples of a quarter of a microsecond: multiplied, they are
    exact, so that they are rounded as by `round(seconds, 6)`, in a third of its time.
    """
    call, deployment, tokens, words = outcome.call, outcome.deployment, outcome.bill.tokens, outcome.bill.words
    details = call_details(outcome)
    record = _NO_FIELDS.copy()  # and then field by field, which takes half the time of one literal
    record["id"] = call.id
    record["time"] = iso_time(call.started_at)
    record["surface"] = call.surface.name
    record["stream"] = call.request.stream
    record["model"] = call.request.model
    if deployment is not None:
        record["provider"] = deployment.provider
        record["answered_model"] = deployment.model
        record["deployment"] = deployment.label
    record["status"] = outcome.status
    record["error_code"] = outcome.error_code
    record["finish_reason"] = outcome.finish_reason
    record["native_finish_reason"] = outcome.native_finish_reason
    record["attempts"] = outcome.attempts
    if outcome.failed_attempts:
        record["failed_attempts"] = " ".join(map(str, outcome.failed_attempts))
    record["input_tokens"] = tokens.input
    record["output_tokens"] = tokens.output
    record["cached_tokens"] = tokens.cached
    record["written_tokens"] = tokens.written
    record["reasoning_tokens"] = tokens.reasoning
    record["searches"] = tokens.searches
    record["estimated"] = tokens.estimated
    record["usage_fault"] = tokens.usage_fault
    record["words"] = words.used
    record["input_words"] = words.input
    record["output_words"] = words.output
    record["words_method"] = words.method
    if outcome.bill.cost_usd is not None:
        record["cost_usd"] = quantize_usd(outcome.bill.cost_usd)
    if outcome.first_event_seconds is not None:
        record["first_event_seconds"] = round(outcome.first_event_seconds * 1e6) / 1e6
    record["seconds"] = round((outcome.finished_at - call.started_at) * 1e6) / 1e6
    record["workspace_id"] = call.workspace.id
    record["key_id"] = call.principal.key_id
    record["app_id"] = call.app_id
    record["endpoint"] = details.endpoint
    record["session_id"] = details.session_id
    record["agent_id"] = details.agent_id
    record["parent_agent_id"] = details.parent_agent_id
    record["batch_id"] = details.batch_id
    record["trace_id"] = details.trace_id
    record["cache"] = details.cache
    record["guardrails"] = details.guardrails
    record["ignored"] = details.ignored
    record["held_usd"] = details.held_usd
    record["tokens_per_second"] = details.tokens_per_second
    record["timeline"] = details.timeline
    if outcome.trace_until is not None:
        record["trace_until"] = iso_time(outcome.trace_until)
    return record


def call_details(outcome: Outcome) -> CallDetails:
    """The details of a call, which are made once for its outcome."""
    calculated: dict[str, CallDetails] = vars(outcome)
    if "call_details" in calculated:
        return calculated["call_details"]
    call, hold, events, deployment = outcome.call, outcome.hold, outcome.events, outcome.deployment
    tokens, generation_seconds, tokens_per_second = outcome.bill.tokens.output, outcome.generation_seconds, None
    if tokens and generation_seconds is not None and generation_seconds >= MIN_GENERATION_SECONDS:
        tokens_per_second = round(tokens / generation_seconds, 1)
    cache = None
    for event in events:
        if event.kind == "cache":
            cache = event.detail
    # By position, in the order of `CallDetails`: names would take longer than all the rest.
    details = calculated["call_details"] = CallDetails(
        call.endpoint,
        recorded_name(call.session_id) if call.session_id else None,
        recorded_name(call.agent_id) if call.agent_id else None,
        recorded_name(call.parent_agent_id) if call.parent_agent_id else None,
        call.batch_id,
        None if call.trace_context is None else call.trace_context.trace_id,
        cache,
        _verdicts(outcome.guardrails) if outcome.guardrails else None,
        _ignored(outcome.ignored) if outcome.ignored else None,
        None if hold is None else hold.amounts.usd,
        tokens_per_second,
        format_timeline(events, deployment.display_name if deployment else "") or None,
    )
    return details


def timeline_events(record: Mapping[str, object]) -> list[CallEvent]:
    """The events in a record's timeline; none for a record without one."""
    provider, model, label = (record.get(name) for name in ("provider", "answered_model", "deployment"))
    own_deployment = "" if provider is None else f"{provider}/{model}" + (f"({label})" if label else "")
    return list(parse_timeline(str(record.get("timeline") or ""), own_deployment))


def counter_increments(record: Mapping[str, object]) -> dict[str, int | Decimal]:
    """The amounts that a call adds to the counters, without zeros. Its record may be a stored one."""
    increments: dict[str, int | Decimal] = {"calls": 1, f"calls_{record['status']}": 1}
    if "cost_usd" not in record or record["cost_usd"] is None:
        increments["calls_unpriced"] = 1
    for name in _SUMMED_FIELDS:
        if name in record and (amount := record[name]) and (type(amount) is int or type(amount) is Decimal):
            increments[name] = amount
    return increments


def readable_record(stored: Mapping[str, object]) -> dict[str, object]:
    """A stored record with all fields: durations and rates are floats, money is text, other numbers are integers."""
    return dict.fromkeys(RECORD_FIELDS) | {name: _readable(name, value) for name, value in stored.items()}


def readable_counters(stored: Mapping[str, object]) -> dict[str, int | str]:
    """All counters of a period, 0 for those that are not stored, and `cost_usd` as text."""
    counters: dict[str, int | str] = {name: int(str(stored.get(name, 0))) for name in COUNTERS}
    return {**counters, "cost_usd": plain_decimal(Decimal(str(stored.get("cost_usd", 0))))}


@exact_money
def sum_counters(counters: Iterable[Mapping[str, int | str]]) -> dict[str, int | str]:
    """The sums of the counters of several periods."""
    listed = list(counters)
    sums: dict[str, object] = {name: sum(int(each[name]) for each in listed) for name in COUNTERS}
    return readable_counters({**sums, "cost_usd": sum((Decimal(each["cost_usd"]) for each in listed), Decimal(0))})


def counter_periods(at: float) -> tuple[str, str]:
    """The names of the month and the day (UTC) of a time: "M#2026-11" and "D#2026-11-21"."""
    return _periods_of_day(int(at // _DAY_SECONDS))


@lru_cache(8)
def _periods_of_day(day: int) -> tuple[str, str]:
    """The names for a day, counted from 1970-01-01."""
    date = datetime.fromtimestamp(day * _DAY_SECONDS, UTC).date().isoformat()
    return f"M#{date[:7]}", f"D#{date}"


def counter_hour(at: float) -> str:
    """The name of the hour (UTC) of a time: "D#2026-11-21T12"."""
    return f"D#{datetime.fromtimestamp(at, UTC).isoformat()[:13]}"


def quantize_usd(amount: Decimal) -> Decimal:
    """The amount with 18 decimal places, as all amounts are stored. Raises `InvalidOperation` from 1e20 USD on."""
    return amount.quantize(_SCALE, None, MONEY)


def plain_decimal(amount: Decimal) -> str:
    """The amount as text without exponent and trailing zeros."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def iso_time(at: float) -> str:
    """The time in ISO 8601, UTC, with milliseconds: "2026-11-21T12:00:00.000Z"."""
    second = int(at)
    # As `datetime` does: rounded to microseconds, and cut to milliseconds.
    milliseconds = round((at - second) * 1e6) // 1000
    if 0 <= milliseconds < 1000:
        return _text_of_second(second) + _text_of_milliseconds(milliseconds)
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(8)
def _text_of_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[: len("2026-11-21T12:00:00")]


def _readable(name: str, value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    if name.endswith("_usd"):
        return plain_decimal(value)
    return float(value) if name.endswith(("seconds", "_per_second")) else int(value)


def _verdicts(guardrails: Mapping[str, str]) -> str:
    return " ".join([f"{name}={verdict}" for name, verdict in guardrails.items()])


def _ignored(names: tuple[str, ...]) -> str:
    """The names of ignored fields, separated by spaces; at the end, how many more there are."""
    shown, size = list[str](), 0
    for name in names:
        size += len(name) + 1
        if size > MAX_IGNORED_CHARACTERS:
            return " ".join([*shown, f"+{len(names) - len(shown)}"])
        shown.append(recorded_name(name.replace(" ", "_")) or "")
    return " ".join(shown)
