"""Audits the pinned versions for known vulnerabilities: `python infra/audit.py`, or `make audit`.

A vulnerability in a package that is deployed or installed by users fails the audit; one in a tool is only reported.
pip-audit asks PyPI, or else OSV; npm asks its registry. Where none of them answers, the audit says so, and does not
fail for it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

ROOT = Path(__file__).resolve().parent.parent

DEPLOYED = (
    *(f"functions/{name}/requirements.txt" for name in ("chat", "admin", "batch", "keeper")),
    "infra/constraints-run.txt",
)
TOOLS = ("infra/constraints.txt", "infra/constraints-sam.txt", "infra/constraints-mocks.txt")
NPM = "tests/clients"

_SERVICES = ("pypi", "osv")
_TIMEOUT_SECONDS = 15

_NETWORK_ERRORS = ("ConnectionError", "ProxyError", "SSLError", "Timeout", "Max retries exceeded")

Run: TypeAlias = Callable[[Sequence[str], Path], tuple[str, str]]
"""Runs a command in a folder, and returns its standard output and error output, whatever its exit status is."""


class Finding(NamedTuple):
    """The result for one file: vulnerabilities as lines of text, and how many packages a database knew."""

    vulnerabilities: list[str]
    audited: int
    not_audited: int


def main(run: Run) -> int:
    """Print a line for each file, and one for each vulnerability. 1 if a deployed package has one, or else 0.

    Raises `RuntimeError` when pip-audit itself fails.
    """
    failed = False
    for path in (*DEPLOYED, *TOOLS):
        finding = audit_python(path, run)
        print(_summary(path, finding))
        failed = failed or (path in DEPLOYED and bool(finding.vulnerabilities))
    print(_summary(f"{NPM}/package-lock.json", audit_npm(run)))
    return int(failed)


def audit_python(path: str, run: Run) -> Finding:
    """Audit a file of pinned versions with the first service that knows any of its packages."""
    finding = Finding([], 0, 0)
    for service in _SERVICES:
        command = [sys.executable, "-m", "pip_audit", "--requirement", path, "--disable-pip", "--no-deps"]
        command += ["--vulnerability-service", service, "--timeout", str(_TIMEOUT_SECONDS)]
        command += ["--format", "json", "--progress-spinner", "off"]
        finding = parse_pip_audit(*run(command, ROOT))
        if finding.audited:
            break
    return finding


def parse_pip_audit(output: str, errors: str) -> Finding:
    """Read pip-audit's JSON. It exits with 0 also if it skipped all packages, because no database answered."""
    report = _parse_json(output)
    if "dependencies" not in report and not any(name in errors for name in _NETWORK_ERRORS):
        raise RuntimeError("pip-audit failed: " + errors.strip().rpartition("\n")[2])
    vulnerabilities: list[str] = []
    audited = not_audited = 0
    for package in report.get("dependencies", []):
        if "skip_reason" in package:
            not_audited += 1
            continue
        audited += 1
        for vulnerability in package["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            vulnerabilities.append(f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}")
    return Finding(vulnerabilities, audited, not_audited)


def audit_npm(run: Run) -> Finding:
    """Audit the packages of the JavaScript clients, which are only used in tests."""
    report = _parse_json(run(["npm", "audit", "--package-lock-only", "--json"], ROOT / NPM)[0])
    if "vulnerabilities" not in report:
        return Finding([], 0, 0)
    found: dict[str, dict[str, Any]] = report["vulnerabilities"]
    lines = [f"{name} {each['range']}: {each['severity']}" for name, each in found.items()]
    return Finding(lines, report["metadata"]["dependencies"]["total"], 0)


def _summary(path: str, finding: Finding) -> str:
    if not finding.audited:
        return f"{path}: NOT AUDITED, no vulnerability database can be reached from here"
    skipped = f", {finding.not_audited} unknown to the database" if finding.not_audited else ""
    lines = [f"{path}: {finding.audited} packages audited{skipped}, {len(finding.vulnerabilities)} vulnerabilities"]
    return "\n  ".join((*lines, *finding.vulnerabilities))


def _parse_json(text: str) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], parsed) if isinstance(parsed, dict) else {}


def run(command: Sequence[str], folder: Path) -> tuple[str, str]:
    """See `Run`."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20 * _TIMEOUT_SECONDS)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return "", type(error).__name__
    return done.stdout, done.stderr


if __name__ == "__main__":
    sys.exit(main(run))
