"""Limits of a workspace or a key: rates, budgets and allowed models."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict, replace

from tidegate.lazy import late_pattern, load

Unit = Literal["tokens", "words", "usd"]
Span = Literal["day", "month"]
Number: TypeAlias = int | Decimal

UNITS: tuple[Unit, ...] = ("tokens", "words", "usd")
SPANS: tuple[Span, ...] = ("day", "month")
BOOKINGS: tuple[tuple[Unit, Span], ...] = tuple((unit, span) for unit in UNITS for span in SPANS)
"""The six sums of an account: each unit for its day and for its month."""

MAX_FIRST_DAY = 28
"""Every month has this day."""

_PLAIN_MODEL_ID = late_pattern(r"[\w.-]+/[\w.:-]+", re.ASCII)
"""Names with one slash and no unusual character have no other spelling but that in upper case."""

DAY_SECONDS = 86_400
_FIRST_DATE = date(1970, 1, 1)

_PRESET = "@preset/"
"""OpenRouter's presets can replace the model: https://openrouter.ai/docs/features/presets (2026-11)."""

_RETENTION_DAYS = {"D": 2, "M": 40}
"""Days after its end when a day ("D") or month ("M") leaves the account: every call reads and writes the item."""


class Limits(Struct, frozen=True, dict=True):
    """Any subset of the limits; None is unlimited. Tokens are input and output together; days and months are in UTC.

    `models` and `providers` are shell patterns ("anthropic/*", "openai/gpt-4o*"); unless they are None, one must match.
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
        """These limits; each that is None is taken from `defaults`."""
        if self == NO_LIMITS:
            return defaults
        if defaults == NO_LIMITS:
            return self
        return replace(defaults, **{name: value for name, value in asdict(self).items() if value is not None})

    def budgets(self) -> Iterator["BudgetLimit"]:
        """The limits of tokens, words and USD in a day or a month."""
        return iter(self._budgets)

    @cached_property
    def _budgets(self) -> tuple["BudgetLimit", ...]:
        maxima: list[tuple[Unit, Span, Number | None]] = [
            (unit, span, getattr(self, f"{unit}_per_{span}")) for unit, span in BOOKINGS
        ]
        return tuple(BudgetLimit(unit, span, maximum) for unit, span, maximum in maxima if maximum is not None)

    def rates(self) -> "Limits":
        """These limits without budgets and models: requests and tokens per minute, and parallel calls."""
        return Limits(self.requests_per_minute, self.tokens_per_minute, self.parallel_calls)

    @cached_property
    def need_reservation(self) -> bool:
        """True if calls must reserve their amounts. Patterns of models and providers need no reservation."""
        rates = (self.requests_per_minute, self.tokens_per_minute, self.parallel_calls)
        return any(rate is not None for rate in rates) or bool(self._budgets)

    def allow_model(self, model_id: str, route: str | None = None) -> bool:
        """True if the patterns allow the model, given as `provider/model`. A `route` may match by its name instead.

        Every spelling of a name is compared as its plain one: `gemini/models/x` is `gemini/x`.
        """
        if self.models is None and self.providers is None:
            return True
        provider = model_id.partition("/")[0]
        named = route is not None and _matches(route, self.models)
        return (named or _matches_model(model_id, self.models)) and _matches(provider, self.providers)


NO_LIMITS = Limits()


class BudgetLimit(NamedTuple):
    """The maximum of one unit in a day or a month."""

    unit: Unit
    span: Span
    maximum: Number

    @property
    def name(self) -> str:
        """The field of `Limits`, such as "tokens_per_day"."""
        return f"{self.unit}_per_{self.span}"


class ExceededLimit(NamedTuple):
    """The limit that refuses a call: its field of `Limits`, its value, what remains, and its reset (UTC seconds).

    `needed` is what the call may use, `largest` the most that the limit can allow a call. Of what is not remaining,
    open calls hold `held`, and give back what they do not use.
    """

    limit: str
    maximum: Number
    remaining: Number
    resets_at: float
    needed: Number = 0
    largest: Number = 0
    held: Number = 0


class Amounts(Struct, frozen=True):
    """The amounts that a call uses, or may use at most, in every unit of budgets."""

    tokens: int = 0
    words: int = 0
    usd: Decimal = Decimal(0)

    def of(self, unit: Unit) -> Number:
        return self.by_unit()[unit]

    def by_unit(self) -> dict[Unit, Number]:
        """The amounts by their units."""
        return {"tokens": self.tokens, "words": self.words, "usd": self.usd}


NO_AMOUNTS = Amounts()


class Period(NamedTuple):
    """A day or month, named by its first day ("M#2026-11-01"); `ends_at` is UTC seconds."""

    name: str
    ends_at: float


def period_at(span: Span, at: float, first_day: int = 1) -> Period:
    """The day or month that contains the time `at` (UTC seconds). Months begin on `first_day`, 1 to 28."""
    return _period_of_day(span, int(at // DAY_SECONDS), first_day)


def booking_name(unit: str, period_name: str) -> str:
    """The name under which an account books a unit in a period, such as "usd#M#2026-11-01"."""
    return f"{unit}#{period_name}"


def booking_names(at: float, first_day: int) -> tuple[str, str, str, str, str, str]:
    """The names under which amounts are booked at the time `at` (UTC seconds), in the order of `BOOKINGS`."""
    names_of_day = _names_of_day.get(first_day)
    if names_of_day is None or not names_of_day[0] <= at < names_of_day[1]:
        names_of_day = _names_of_day[first_day] = _booking_names_of_day(int(at // DAY_SECONDS), first_day)
    return names_of_day[2]


_BookingNames: TypeAlias = tuple[str, str, str, str, str, str]

_names_of_day: dict[int, tuple[float, float, _BookingNames]] = {}
"""The day that was last asked for, by the first day of months: its begin, its end, and the names."""


@lru_cache(64)
def _booking_names_of_day(day: int, first_day: int) -> tuple[float, float, _BookingNames]:
    at = day * DAY_SECONDS
    periods: dict[Span, str] = {span: period_at(span, at, first_day).name for span in SPANS}
    first, second, third, fourth, fifth, sixth = [booking_name(unit, periods[span]) for unit, span in BOOKINGS]
    return at, at + DAY_SECONDS, (first, second, third, fourth, fifth, sixth)


@lru_cache(64)
def _period_of_day(span: Span, day: int, first_day: int) -> Period:
    """The period of a day, counted from 1970-01-01."""
    today = _FIRST_DATE + timedelta(days=day)
    if span == "day":
        return Period(f"D#{today.isoformat()}", _midnight(today + timedelta(days=1)))
    first = today.replace(day=first_day)
    if today < first:
        first = (first.replace(day=1) - timedelta(days=1)).replace(day=first_day)
    next_first = (first.replace(day=1) + timedelta(days=32)).replace(day=first_day)
    return Period(f"M#{first.isoformat()}", _midnight(next_first))


def is_period_forgotten(period_name: str, now: float) -> bool:
    """True if accounts no longer need the period: 2 days after a day has ended, 40 days after a month has."""
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
    """The number of the minute since 1970-01-01."""
    return int(at // 60)


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _matches(name: str, patterns: Iterable[str] | None) -> bool:
    return patterns is None or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _matches_model(model_id: str, patterns: tuple[str, ...] | None) -> bool:
    """True if a pattern matches the model's plain name, or the name as sent and begins with the folder in it."""
    if patterns is None or _PLAIN_MODEL_ID.fullmatch(model_id):
        return _matches(model_id, patterns)
    name = model_id.lower()
    plain: str = load("tidegate.domain.model_names", "plain_model_id")(name)
    folder, model = "", plain.partition("/")[2]
    if plain != name and name.endswith(model):
        folder = name.removesuffix(model)
    return any(
        (fnmatchcase(plain, pattern) or (folder and pattern.startswith(folder) and fnmatchcase(name, pattern)))
        and (_PRESET not in plain or _PRESET in pattern)
        for pattern in map(str.lower, patterns)
    )


def days_of_period(span: Span, at: float, first_day: int = 1) -> list[str]:
    """The dates ("2026-11-21") from the beginning of the period to the day of `at`."""
    first = date.fromisoformat(period_at(span, at, first_day).name[2:])
    return days_between(first, datetime.fromtimestamp(at, UTC).date())


def days_between(first: date, last: date) -> list[str]:
    """The dates ("2026-11-21") from the first to the last, both included."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
