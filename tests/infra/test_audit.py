"""The audit of pinned versions: what fails it, and what it says where no database answers."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra import audit
from tests.emulators.process import ROOT

VULNERABLE = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}
GOOD = {"name": "anyio", "version": "4.16.0", "vulns": []}
UNKNOWN = {"name": "anyio", "skip_reason": "Dependency not found on PyPI and could not be audited"}
OFFLINE = ("", "requests.exceptions.ConnectionError: Max retries exceeded")
LINE = "idna 3.6: PYSEC-2024-60, fixed in 3.7"


class Databases:
    """Answers for pip-audit and npm. `by_file` has the packages that the databases know of a file."""

    def __init__(self, by_file: dict[str, list[Any]], npm: dict[str, Any] | None = None, **by_service: Any) -> None:
        self.by_file, self.npm, self.by_service = by_file, npm, by_service
        self.services: list[str] = []

    def __call__(self, command: Sequence[str], folder: Path) -> tuple[str, str]:
        if command[0] == "npm":
            assert (folder / "package-lock.json").exists()
            return json.dumps(self.npm or {"error": {"summary": ""}}), ""
        path, service = (command[command.index(option) + 1] for option in ("--requirement", "--vulnerability-service"))
        assert (folder / path).exists()
        self.services.append(service)
        packages = self.by_file.get(path, [GOOD])
        return self.by_service.get(service, (json.dumps({"dependencies": packages, "fixes": []}), ""))


def test_a_vulnerable_package_that_is_deployed_fails_the_audit(capsys: pytest.CaptureFixture[str]) -> None:
    for path in audit.DEPLOYED:
        assert audit.main(Databases({path: [GOOD, VULNERABLE, UNKNOWN]})) == 1
        said = capsys.readouterr().out
        assert f"{path}: 2 packages audited, 1 unknown to the database, 1 vulnerabilities\n  {LINE}\n" in said


def test_a_vulnerable_tool_is_reported_only(capsys: pytest.CaptureFixture[str]) -> None:
    npm = {"vulnerabilities": {"ws": {"range": "<8", "severity": "high"}}, "metadata": {"dependencies": {"total": 9}}}
    assert audit.main(Databases({path: [VULNERABLE] for path in audit.TOOLS}, npm)) == 0
    said = capsys.readouterr().out
    assert said.count(LINE) == len(audit.TOOLS)
    assert "tests/clients/package-lock.json: 9 packages audited, 1 vulnerabilities\n  ws <8: high\n" in said


@pytest.mark.parametrize(
    "databases", [Databases({}, pypi=OFFLINE, osv=OFFLINE), Databases({path: [UNKNOWN] for path in audit.DEPLOYED})]
)
def test_without_a_database_it_says_that_nothing_was_audited(
    databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(databases) == 0
    said = capsys.readouterr().out
    for path in audit.DEPLOYED:
        assert f"{path}: NOT AUDITED, no vulnerability database can be reached from here\n" in said


def test_the_second_database_is_asked_when_the_first_one_does_not_answer() -> None:
    databases = Databases({audit.DEPLOYED[0]: [VULNERABLE]}, pypi=OFFLINE)
    assert audit.main(databases) == 1
    assert set(databases.services) == {"pypi", "osv"}


def test_a_broken_tool_is_not_taken_for_a_missing_network() -> None:
    with pytest.raises(RuntimeError, match="No module named pip_audit"):
        audit.main(Databases({}, pypi=("", "Traceback\nNo module named pip_audit")))


def test_all_pinned_files_are_audited() -> None:
    files = [*ROOT.glob("infra/constraints*.txt"), *ROOT.glob("functions/*/requirements.txt")]
    assert {str(path.relative_to(ROOT)) for path in files} == {*audit.DEPLOYED, *audit.TOOLS}


@pytest.mark.slow
def test_the_real_pip_audit_without_a_network_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound, but it does not listen: connections are refused
        closed.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        finding = audit.audit_python(audit.DEPLOYED[2], audit.run)
    assert (finding.vulnerabilities, finding.audited) == ([], 0)
