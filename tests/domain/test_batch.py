"""The usage of batches: sums are exact, whatever their order."""

from decimal import Decimal

from msgspec.structs import replace

from tidegate.domain.batch import BatchUsage, sum_usages


def test_a_sum_of_usages_adds_each_of_their_fields() -> None:
    one = replace(
        BatchUsage(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, cached=13),
        cost_usd=Decimal("12345678901234567890.000000000000000001"),
    )
    two = replace(one, cost_usd=Decimal("0.000000000000000001"))
    total = replace(
        BatchUsage(2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, cached=26),
        cost_usd=Decimal("12345678901234567890.000000000000000002"),
    )
    assert (sum_usages([one, two]), one + two) == (total, total)
    assert sum_usages([]) == BatchUsage()
