"""The faults of files that docs/BATCH.md lists, beside those that the code finds."""

import re

from tests.documents import ROOT

PAGE = (ROOT / "docs/BATCH.md").read_text()


def codes_of(*modules: str) -> set[str]:
    """The codes of the faults in these modules of the engine."""
    texts = [(ROOT / f"shared/tidegate/batch/{name}.py").read_text() for name in modules]
    found = {code for text in texts for code in re.findall(r'BatchFault\(\s*"([a-z_]+)"', text)}
    assert found
    return found


def test_the_page_has_the_codes_of_all_faults_of_a_file() -> None:
    table = PAGE[PAGE.index("Faults that validation finds.") : PAGE.index("## The command line")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    shown = {code for row in rows for code in re.findall(r"`(\w+)`", row)} | {"invalid_request"}
    assert shown == codes_of("lines", "findings", "validation")


def test_the_page_has_the_codes_of_lines_that_nobody_was_asked() -> None:
    results = (ROOT / "shared/tidegate/batch/results.py").read_text()
    worker = (ROOT / "shared/tidegate/batch/part_worker.py").read_text()
    codes = re.findall(r'^[A-Z_]+ = \("([a-z_]+)", "', results + worker, re.M)
    assert len(codes) == 3
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
