"""Moments as people write them."""

import argparse
from datetime import UTC, datetime


def parse_time(text: str) -> float:
    """UTC seconds of an ISO 8601 date, in UTC unless it says otherwise. Raises `ArgumentTypeError`."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: write 2027-01-31 or 2027-01-31T12:00") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
