"""The software bill of materials: what the functions contain, and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import sbom
from tests.emulators.process import ROOT


def pins(function: str) -> dict[str, tuple[str, list[str]]]:
    """The pinned packages of a function: version and hashes by name, read line by line."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in (ROOT / "functions" / function / "requirements.txt").read_text().splitlines():
        if pin := re.fullmatch(r"(\S+)==(\S+) \\", line):
            hashes: list[str] = []
            found[pin[1]] = (pin[2], hashes)
        elif line.startswith("    --hash=sha256:"):
            hashes.append(line.removeprefix("    --hash=sha256:").removesuffix(" \\"))
        else:
            assert line.startswith("#"), line
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    subprocess.run([sys.executable, "infra/sbom.py", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("function", ["admin", "batch", "chat", "keeper"])
def test_it_lists_exactly_the_pinned_packages_with_hashes_and_licences(folder: Path, function: str) -> None:
    text = (folder / f"{function}.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"purl"', '"url"')) is not None
    components = json.loads(text)["components"]
    listed = {each["name"]: (each["version"], [hash["content"] for hash in each["hashes"]]) for each in components}
    assert listed == pins(function)
    assert len(components) == len(listed) > 8
    assert all(each["licenses"][0]["expression"] for each in components)


def test_every_function_has_a_bill(folder: Path) -> None:
    functions = {path.parent.name for path in (ROOT / "functions").glob("*/requirements.txt")}
    assert {path.name for path in folder.iterdir()} == {f"{name}.cdx.json" for name in functions}


def test_licences_are_known_and_allow_distribution() -> None:
    """A licence that is new here needs a decision: whoever deploys the artifact distributes the package."""
    bills = [sbom.create_bill(function) for function in sbom.FUNCTIONS]
    assert {component["licenses"][0]["expression"] for bill in bills for component in bill["components"]} == {
        *("MIT", "MIT-0", "BSD-3-Clause", "Apache-2.0", "Apache-2.0 OR BSD-3-Clause", "PSF-2.0"),
        "Apache-2.0 AND CNRI-Python",
        "MPL-2.0",  # certifi: a file of certificates, unchanged
    }


def test_a_bill_does_not_change_by_itself(folder: Path) -> None:
    assert json.loads((folder / "chat.cdx.json").read_text()) == sbom.create_bill("chat")


def test_another_version_than_the_pinned_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="make setup"):
        sbom.find_licence("msgspec", "0.0.1")
