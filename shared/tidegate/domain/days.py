"""Days in UTC, as the names of counters have them: "2026-11-21"."""

from datetime import UTC, date, datetime, timedelta

from tidegate.domain.limits import Span, period


def days_of(span: Span, at: float, first_day: int = 1) -> list[str]:
    """The days of that period until the moment."""
    begins = date.fromisoformat(period(span, at, first_day).name[2:])
    return days_between(begins, datetime.fromtimestamp(at, UTC).date())


def days_between(first: date, last: date) -> list[str]:
    """The days from the first to the last, both included."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
