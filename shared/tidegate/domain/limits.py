"""What a workspace or a key may use: rates, budgets, and the models."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict, replace

Unit = Literal["tokens", "words", "usd"]
Span = Literal["day", "month"]
Number: TypeAlias = int | Decimal

UNITS: tuple[Unit, ...] = ("tokens", "words", "usd")
SPANS: tuple[Span, ...] = ("day", "month")
MAX_FIRST_DAY = 28
"""Every month has that day."""

_RETENTION_DAYS = {"D": 2, "M": 40}
"""What an account has booked is read and written with every call: it should be small."""


class Limits(Struct, frozen=True):
    """Any subset; None is no limit. Tokens are input and output together; days and months are UTC's.

    `models` and `providers` are shell patterns ("anthropic/*", "openai/gpt-4o*"): where there are any, one must match.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel_calls: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    words_per_day: int | None = None
    words_per_month: int | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None

    def with_defaults(self, defaults: "Limits") -> "Limits":
        """These limits, and those of `base` where these say nothing."""
        if self == NO_LIMITS:
            return defaults
        if defaults == NO_LIMITS:
            return self
        return replace(defaults, **{name: value for name, value in asdict(self).items() if value is not None})

    def budgets(self) -> Iterator["BudgetLimit"]:
        """The amounts that may be used in a day or a month."""
        for unit in UNITS:
            for span in SPANS:
                maximum: Number | None = getattr(self, f"{unit}_per_{span}")
                if maximum is not None:
                    yield BudgetLimit(unit, span, maximum)

    @property
    def need_reservation(self) -> bool:
        """Whether a call must be counted before it is made. Patterns need no counting."""
        if self == NO_LIMITS:
            return False
        rates = (self.requests_per_minute, self.tokens_per_minute, self.parallel_calls)
        return any(rate is not None for rate in rates) or next(self.budgets(), None) is not None

    def allow_model(self, model_id: str, route: str | None = None) -> bool:
        """Whether the model, as `provider/model`, and its provider match the patterns; a `route` does by its name."""
        if self.models is None and self.providers is None:
            return True
        provider = model_id.partition("/")[0]
        named = route is not None and _matches(route, self.models)
        return (named or _matches(model_id, self.models)) and _matches(provider, self.providers)


NO_LIMITS = Limits()


class BudgetLimit(NamedTuple):
    unit: Unit
    span: Span
    maximum: Number

    @property
    def name(self) -> str:
        """As the field of `Limits`."""
        return f"{self.unit}_per_{self.span}"


class Amounts(Struct, frozen=True):
    """What a call uses, or may use at most, of every unit that a budget can be in."""

    tokens: int = 0
    words: int = 0
    usd: Decimal = Decimal(0)

    def of(self, unit: Unit) -> Number:
        match unit:
            case "tokens":
                return self.tokens
            case "words":
                return self.words
            case "usd":
                return self.usd


class Period(NamedTuple):
    """A day or a month by its first day, e.g. "M#2026-11-01"; `ends` is UTC seconds."""

    name: str
    ends_at: float


def period_at(span: Span, at: float, first_day: int = 1) -> Period:
    """The period of that kind that a moment (UTC seconds) belongs to. Months begin on `first_day`, 1 to 28."""
    today = datetime.fromtimestamp(at, UTC).date()
    if span == "day":
        return Period(f"D#{today.isoformat()}", _midnight(today + timedelta(days=1)))
    first = today.replace(day=first_day)
    if today < first:
        first = (first.replace(day=1) - timedelta(days=1)).replace(day=first_day)
    next_first = (first.replace(day=1) + timedelta(days=32)).replace(day=first_day)
    return Period(f"M#{first.isoformat()}", _midnight(next_first))


def is_period_forgotten(period_name: str, now: float) -> bool:
    """Whether nobody books to it or asks for it any more: two days after a day, 40 after a month."""
    kind, _, first = period_name.partition("#")
    if kind not in _RETENTION_DAYS:
        return False
    try:
        first_date = date.fromisoformat(first)
        ends = period_at("day" if kind == "D" else "month", _midnight(first_date), first_date.day).ends_at
    except ValueError:
        return False
    return now >= ends + _RETENTION_DAYS[kind] * 86400


def minute_of(at: float) -> int:
    """The number of the minute since 1970."""
    return int(at // 60)


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _matches(name: str, patterns: Iterable[str] | None) -> bool:
    return patterns is None or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def days_of_period(span: Span, at: float, first_day: int = 1) -> list[str]:
    """The days of that period until the moment."""
    begins = date.fromisoformat(period_at(span, at, first_day).name[2:])
    return days_between(begins, datetime.fromtimestamp(at, UTC).date())


def days_between(first: date, last: date) -> list[str]:
    """The days from the first to the last, both included."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
