"""A million lines cost what docs/BATCH.md says."""

import re

from tests.batch.aws_prices import SQS_REQUESTS
from tests.batch.cost import Amount, million_lines, run
from tests.emulators.process import ROOT

TARGET_USD = 5.0


def documented(text: str, title: str) -> dict[str, float]:
    """The last column of the table with that title, by the first one."""
    rows = text.partition(f"| {title} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = ([cell.strip(" *") for cell in row.strip("|").split("|")] for row in rows)
    return {name: float(usd) for name, _, usd in cells}


def computed(amounts: list[Amount]) -> dict[str, float]:
    return {each.name: each.usd for each in amounts} | {"together": sum(each.usd for each in amounts)}


def is_near(usd: float, other: float) -> bool:
    return abs(usd - other) <= 0.01 + 0.03 * usd


def test_a_million_lines_cost_what_the_documentation_says() -> None:
    batches, live = map(computed, run(million_lines()))
    text = (ROOT / "docs" / "BATCH.md").read_text()
    for title, costs in (("a million lines in batches", batches), ("a million live calls", live)):
        told = documented(text, title)
        assert {
            name: (usd, told.get(name)) for name, usd in costs.items() if not is_near(usd, told.get(name, -1))
        } == {}
        assert told.keys() == costs.keys()
    sums = re.search(r"cost \*\*([\d.]+) USD\*\* beside .* costs \*\*([\d.]+) USD\*\*", text)
    assert sums is not None
    assert is_near(batches["together"], float(sums[1])) and is_near(live["together"], float(sums[2]))
    assert batches["together"] <= TARGET_USD


def test_an_amount_is_its_number_times_its_price() -> None:
    assert Amount("requests", SQS_REQUESTS, 2_500_000).usd == 1.0
