"""The record of a finished call, and its increments of the counters. Neither contains prompts or answers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct, to_builtins
from msgspec.structs import force_setattr, replace

from tidegate.domain.call import Outcome, recorded_name
from tidegate.domain.call_event import TO_WHOLE, CallEvent, format_timeline, parse_timeline
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

# A fixed scale: sums stay exact within the 38 digits of a DynamoDB number and of `MONEY`.
_SCALE = Decimal("1e-18")

_DAY_SECONDS = 86_400

_counter_of_status = lru_cache(16)("calls_{}".format)

_text_of_milliseconds = lru_cache(1000)(".{:03}Z".format)


class CallRecord(Struct, frozen=True, gc=False, omit_defaults=True):
    """The record of a call. What is None is not stored: lost calls, and the parts of batches, have few fields.

    `time` is the start of the call, durations are seconds, `cost_usd` is None if unpriced. Durations are differences of
    UTC seconds, which are multiples of a quarter of a microsecond: multiplied, they are exact, so that rounding the
    product gives what `round(seconds, 6)` does, in a fraction of its time. The fields after `timeline` are rare.
    """

    id: str | None = None
    time: str | None = None
    surface: str | None = None
    endpoint: str | None = None
    stream: bool | None = None
    model: str | None = None
    provider: str | None = None
    answered_model: str | None = None
    status: str | None = None
    finish_reason: str | None = None
    attempts: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    written_tokens: int | None = None
    reasoning_tokens: int | None = None
    searches: int | None = None
    estimated: bool | None = None
    words: int | None = None
    input_words: int | None = None
    output_words: int | None = None
    words_method: str | None = None
    cost_usd: Decimal | None = None
    held_usd: Decimal | None = None
    first_event_seconds: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    workspace_id: str | None = None
    key_id: str | None = None
    timeline: str | None = None
    deployment: str | None = None
    error_code: str | None = None
    native_finish_reason: str | None = None
    failed_attempts: str | None = None
    usage_fault: str | None = None
    app_id: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    batch_id: str | None = None
    cache: str | None = None
    guardrails: str | None = None
    ignored: str | None = None
    trace_until: str | None = None
    trace_id: str | None = None


RECORD_FIELDS = CallRecord.__struct_fields__


def call_record(outcome: Outcome) -> CallRecord:
    """The call's record."""
    call, deployment, hold, bill = outcome.call, outcome.deployment, outcome.hold, outcome.bill
    tokens, words, cost_usd, first_event_seconds = bill.tokens, bill.words, bill.cost_usd, outcome.first_event_seconds
    generation_seconds, tokens_per_second = outcome.generation_seconds, None
    if generation_seconds is not None and generation_seconds >= MIN_GENERATION_SECONDS and tokens.output:
        tokens_per_second = round(tokens.output / generation_seconds, 1)
    timeline = format_timeline(outcome.events, "" if deployment is None else deployment.display_name)
    # By position, in the order of `CallRecord`: names would take longer than all the rest. So would more than 30
    # arguments, of which Python makes a list.
    record = CallRecord(
        call.id,
        iso_time(call.started_at),
        call.surface.name,
        call.endpoint,
        call.request.stream,
        call.request.model,
        None if deployment is None else deployment.provider,
        None if deployment is None else deployment.model,
        outcome.status,
        outcome.finish_reason,
        outcome.attempts,
        tokens.input,
        tokens.output,
        tokens.cached,
        tokens.written,
        tokens.reasoning,
        tokens.searches,
        tokens.estimated,
        words.used,
        words.input,
        words.output,
        words.method,
        None if cost_usd is None else quantize_usd(cost_usd),
        None if hold is None else hold.amounts.usd,
        None if first_event_seconds is None else (first_event_seconds * 1e6 + TO_WHOLE - TO_WHOLE) / 1e6,
        ((outcome.finished_at - call.started_at) * 1e6 + TO_WHOLE - TO_WHOLE) / 1e6,
        tokens_per_second,
        call.workspace.id,
        call.principal.key_id,
        timeline or None,
    )
    _add_rare_fields(record, outcome)
    if "cache@" in timeline or "skip@" in timeline:
        force_setattr(record, "cache", _cache_verdict(timeline, outcome.events))
    return record


def _add_rare_fields(record: CallRecord, outcome: Outcome) -> None:
    """Add the fields that most calls do not have, before anybody else gets the record."""
    call, deployment = outcome.call, outcome.deployment
    if deployment is not None and deployment.label is not None:
        force_setattr(record, "deployment", deployment.label)
    if outcome.error_code is not None:
        force_setattr(record, "error_code", outcome.error_code)
    if outcome.native_finish_reason is not None:
        force_setattr(record, "native_finish_reason", outcome.native_finish_reason)
    if outcome.failed_attempts:
        force_setattr(record, "failed_attempts", " ".join(map(str, outcome.failed_attempts)))
    if outcome.bill.tokens.usage_fault is not None:
        force_setattr(record, "usage_fault", outcome.bill.tokens.usage_fault)
    if outcome.guardrails:
        force_setattr(record, "guardrails", _verdicts(outcome.guardrails))
    if outcome.ignored:
        force_setattr(record, "ignored", _ignored(outcome.ignored))
    if outcome.trace_until is not None:
        force_setattr(record, "trace_until", iso_time(outcome.trace_until))
    if call.app_id is not None:
        force_setattr(record, "app_id", call.app_id)
    if call.session_id or call.agent_id or call.parent_agent_id:
        for name in ("session_id", "agent_id", "parent_agent_id"):
            force_setattr(record, name, recorded_name(getattr(call, name)))
    if call.batch_id is not None:
        force_setattr(record, "batch_id", call.batch_id)
    if call.trace_context is not None:
        force_setattr(record, "trace_id", call.trace_context.trace_id)


def stored_fields(record: CallRecord) -> dict[str, RecordValue]:
    """The fields of the record that are stored: those that are not None."""
    fields: dict[str, RecordValue] = to_builtins(record, builtin_types=(Decimal,))
    return fields


def timeline_events(record: Mapping[str, object]) -> list[CallEvent]:
    """The events in a record's timeline; none for a record without one."""
    provider, model, label = (record.get(name) for name in ("provider", "answered_model", "deployment"))
    own_deployment = "" if provider is None else f"{provider}/{model}" + (f"({label})" if label else "")
    return list(parse_timeline(str(record.get("timeline") or ""), own_deployment))


def counter_increments(record: CallRecord) -> dict[str, int | Decimal]:
    """The amounts that a call adds to the counters, without zeros."""
    # Counter by counter: a loop over their names takes twice as long.
    increments: dict[str, int | Decimal] = {"calls": 1, _counter_of_status(record.status): 1}
    if record.cost_usd is None:
        increments["calls_unpriced"] = 1
    if record.input_tokens:
        increments["input_tokens"] = record.input_tokens
    if record.output_tokens:
        increments["output_tokens"] = record.output_tokens
    if record.cached_tokens:
        increments["cached_tokens"] = record.cached_tokens
    if record.written_tokens:
        increments["written_tokens"] = record.written_tokens
    if record.reasoning_tokens:
        increments["reasoning_tokens"] = record.reasoning_tokens
    if record.searches:
        increments["searches"] = record.searches
    if record.words:
        increments["words"] = record.words
    if record.input_words:
        increments["input_words"] = record.input_words
    if record.cost_usd:
        increments["cost_usd"] = record.cost_usd
    return increments


def add_increments(counters: dict[str, int | Decimal], increments: Mapping[str, int | Decimal]) -> None:
    """Add the amounts of a call to the counters of a period: integers, and its cost, which is added exactly."""
    for name, amount in increments.items():
        if name not in counters:
            counters[name] = amount
        elif name == "cost_usd":
            counters[name] = MONEY.add(counters[name], amount)
        else:
            counters[name] += amount


def stored_increments(stored: Mapping[str, object]) -> dict[str, int | Decimal]:
    """The amounts that a call has added to the counters, by its stored record."""
    counted = CallRecord(status=str(stored["status"]))
    amounts = {name: stored[name] for name in _SUMMED_FIELDS if type(stored.get(name)) in (int, Decimal)}
    return counter_increments(replace(counted, **amounts))


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
    return periods_of_day(int(at // _DAY_SECONDS))


@lru_cache(8)
def periods_of_day(day: int) -> tuple[str, str]:
    """The names of the month and the day of a day that is counted from 1970-01-01."""
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
    milliseconds = int((at - second) * 1e6 + TO_WHOLE - TO_WHOLE) // 1000
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


def _cache_verdict(timeline: str, events: Iterable[CallEvent]) -> str | None:
    """The result of the call's last lookup in the cache; None if it had none."""
    if "skip@" in timeline:
        verdicts = [event.detail for event in events if event.kind == "cache"]
        return verdicts[-1] if verdicts else None
    # No text in a timeline has a space, so that this is the last such event: "cache@3:miss".
    _, found, rest = f" {timeline}".rpartition(" cache@")
    return rest.partition(" ")[0].partition(":")[2] if found else None


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
