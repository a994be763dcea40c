from decimal import Decimal

import pytest

from tidegate.domain.record import counter_periods, iso_time, plain_decimal


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("0E-18", "0"),
        ("100", "100"),
        ("1E+2", "100"),
        ("3E-7", "0.0000003"),
        ("1.500000000000000000", "1.5"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
    ],
)
def test_money_is_written_without_exponents_and_trailing_zeros(amount: str, text: str) -> None:
    assert plain_decimal(Decimal(amount)) == text


def test_a_moment_belongs_to_its_month_and_day_in_utc() -> None:
    assert counter_periods(1_767_225_599.9) == ("M#2025-12", "D#2025-12-31")
    assert counter_periods(1_767_225_600) == ("M#2026-01", "D#2026-01-01")


def test_time_is_iso_8601_in_utc_with_milliseconds() -> None:
    assert iso_time(1_767_225_599.5) == "2025-12-31T23:59:59.500Z"
