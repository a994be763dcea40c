"""The usage of batches: sums are exact, whatever their order."""

from decimal import Decimal

from msgspec.structs import replace

from tidegate.domain.batch import BatchUsage, sum_usages


def test_a_sum_of_usages_adds_each_of_their_fields() -> None:
    numbers = BatchUsage(*range(1, 15))
    one = replace(numbers, cost_usd=Decimal("12345678901234567890.000000000000000001"))
    two = replace(numbers, cost_usd=Decimal("0.000000000000000001"))
    doubled = BatchUsage(*(2 * number for number in range(1, 15)))
    total = replace(doubled, cost_usd=Decimal("12345678901234567890.000000000000000002"))
    assert (sum_usages([one, two]), one + two) == (total, total)
    assert sum_usages([]) == BatchUsage()
