"""The options of batches that docs/BATCH.md and infra/DEPLOY.md show, beside those that there are."""

import json
import re

import pytest
from msgspec.structs import asdict

from tests.documents import ROOT
from tidegate.domain.batch_options import BatchOptions, parse_batch_options

DOCUMENTS = ("docs/BATCH.md", "infra/DEPLOY.md")
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|", re.M)
UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
SHOWN = [
    (document, text)
    for document in DOCUMENTS
    for text in re.findall(
        r'\{"(?:' + "|".join(BatchOptions.__struct_fields__) + r')": .*\}(?=[`\n])', (ROOT / document).read_text()
    )
]


def test_documents_show_options() -> None:
    assert {document for document, _ in SHOWN} == set(DOCUMENTS)


@pytest.mark.parametrize(("document", "text"), SHOWN)
def test_options_that_documents_show_are_valid(document: str, text: str) -> None:
    options = parse_batch_options(json.loads(text))
    assert options != BatchOptions()


def test_the_page_has_all_options_with_their_defaults() -> None:
    page = (ROOT / "docs/BATCH.md").read_text()
    (settings,) = re.findall(r"^## Settings\n.*?(?=^## )", page, re.M | re.S)
    shown: dict[str, object] = {}
    for names, defaults in ROW.findall(settings):
        values = [_value(text) for text in defaults.split(", ")]
        shown |= zip(re.findall(r"\w+", names), values, strict=True)
    assert shown == {name: value or None for name, value in asdict(BatchOptions()).items()}


def _value(text: str) -> object:
    if text == "none":
        return None
    number, _, unit = text.replace(",", "").partition(" ")
    return float(number) * UNITS.get(unit, 1)
