"""The table of faults is current."""

from tests.faults.measuring import Case, Found
from tests.faults.table import DOCUMENT, render


def test_the_document_is_current(found: dict[Case, Found]) -> None:
    assert DOCUMENT.read_text() == render(found), "run: python -m tests.faults --write"
