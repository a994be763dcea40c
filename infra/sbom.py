"""Writes a software bill of materials for each function: `python infra/sbom.py FOLDER`, or `make sbom`.

It lists exactly the packages that functions/NAME/requirements.txt pins, each with the hashes of all files that may be
installed, and its licence as installed in this environment. It needs no network, and gives the same bytes each time.
The wheel of `cryptography` has a bill of its Rust crates in its folder `*.dist-info/sboms`.

Source: https://cyclonedx.org/docs/1.6/json/
"""

import json
import re
import sys
import tomllib
import uuid
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
Bill: TypeAlias = dict[str, Any]
FUNCTIONS = ("admin", "batch", "chat", "keeper")

LICENCES: dict[str, str] = {}
"""Licences of packages whose metadata names none, each with its source. At present, all name one."""

LICENCES_BY_CLASSIFIER = {"License :: OSI Approved :: MIT License": "MIT"}

_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for function in FUNCTIONS:
        bill = create_bill(function)
        path = folder / f"{function}.cdx.json"
        path.write_text(json.dumps(bill, indent=2) + "\n")
        print(f"{path}: {len(bill['components'])} packages")


def create_bill(function: str) -> Bill:
    """The bill of a function, as CycloneDX 1.6. Raises `ValueError` for a package without a known licence."""
    requirements = (ROOT / "functions" / function / "requirements.txt").read_text()
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    components = [_component(*pin) for pin in _PIN.findall(requirements)]
    name = f"tidegate-{function}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((name, version, requirements))).urn,
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": name, "version": version}},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _component(name: str, version: str, hashes: str) -> dict[str, object]:
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(hashes)],
        "licenses": [{"expression": find_licence(name, version)}],
    }


def find_licence(name: str, version: str) -> str:
    """The SPDX expression of an installed package. Raises `ValueError` for another version, or without a licence."""
    package = metadata(name)
    if package["Version"] != version:
        raise ValueError(f"{name} {version} is pinned and {package['Version']} is installed: run make setup.")
    classifiers = package.get_all("Classifier") or []
    by_classifier = next((LICENCES_BY_CLASSIFIER[each] for each in classifiers if each in LICENCES_BY_CLASSIFIER), None)
    licence = package["License-Expression"] or package["License"] or LICENCES.get(name) or by_classifier
    if not licence:
        raise ValueError(f"{name} names no licence: look it up, and add it to LICENCES.")
    return licence


if __name__ == "__main__":
    main()
