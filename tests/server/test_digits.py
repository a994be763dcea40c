"""Numbers that are remembered as text."""

import pytest

from tidegate.server import digits


def test_a_number_is_its_digits_again_and_again() -> None:
    numbers = [0, 7, 10, 1_234_567, -5]
    assert [digits.DIGITS[number] for number in numbers * 2] == [b"0", b"7", b"10", b"1234567", b"-5"] * 2


def test_not_all_numbers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "_MOST_NUMBERS", 3)
    remembered = digits.Digits(b"%x\r\n")
    assert [remembered[number] for number in range(20)] == [b"%x\r\n" % number for number in range(20)]
    assert len(remembered) <= 3
