"""CSV that a spreadsheet opens without running what a caller has named."""

import csv
import io

import pytest

from tidegate.control.spreadsheet import to_csv


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_text_that_could_be_a_formula_gets_a_quote(first: str) -> None:
    text = f'{first}HYPERLINK("https://evil.example")'
    [header, row] = csv.reader(io.StringIO(to_csv(["model", "calls"], [[text, -5]]), newline=""))
    assert (header, row) == (["model", "calls"], [f"'{text}", "-5"])


def test_other_texts_are_as_they_were() -> None:
    assert to_csv(["a"], [["openai/gpt-4.1"], [None], [1.5]]) == 'a\r\nopenai/gpt-4.1\r\n""\r\n1.5\r\n'
