"""Dates and times in command-line options."""

import argparse
from datetime import UTC, datetime


def parse_time(text: str) -> float:
    """Parse an ISO 8601 date or time, UTC by default, to UTC seconds. Raises `ArgumentTypeError`."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: write 2027-01-31 or 2027-01-31T12:00") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
