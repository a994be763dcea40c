"""The server against its own OpenAPI document: what is made from it meets no crash and no undocumented reply."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.programs import environment
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, serving

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
SAME_AS_OTHERS = (
    r"^(/chat|/openai/v1/chat|/api/ds-prototypes/content_generation/chat)/completions$"
    r"|^(/openai|/openai/v1)?/(files|uploads|batches)(/.*)?$"
    r"|^(/openai|/openai/v1|/api/v1)?/(messages|responses|conversations)(/.*)?$"
    r"|^(/openai|/openai/v1|/api/v1)?/(embeddings|rerank|moderations|completions)$"
    r"|^/openai/deployments/[^/]*/(embeddings|completions)$|^/v2/rerank$|^/api/v1/generations/"
)
BATCHES = r"^/v1/(files|uploads|batches)(/.*)?$"
STATES = r"^/v1/(responses|conversations)(/.*)?$"
OTHER_CALLS = r"^/v1/(messages(/.*)?|embeddings|rerank|moderations|completions)$|^/api/(chat|generate|embed|tags)$"
PARTS = {
    "calls": ("--exclude-path-regex", f"{SAME_AS_OTHERS}|{BATCHES}|{STATES}|{OTHER_CALLS}"),
    "batches": ("--include-path-regex", BATCHES),
    "states": ("--include-path-regex", STATES),
    "other_calls": ("--include-path-regex", OTHER_CALLS),
}


# Apart, because after many wrong keys from one address the server answers 429 in place of 401.
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_document_holds(part: tuple[str, str], tmp_path: Path) -> None:
    # A deadline that has passed is the caller's own affair, and a 504 all the same.
    expected = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 504]\n'
    (tmp_path / "schemathesis.toml").write_text(expected)
    headers = ("--header", f"Authorization: Bearer {DEMO_KEY}", "--header", f"x-workspace-id: {DEMO_WORKSPACE}")
    examine(tmp_path, "/openapi.json", *headers, *part)


def test_the_control_plane_holds_to_its_own(tmp_path: Path) -> None:
    # Not the endpoint that would revoke the key that asks, and with it all that comes after.
    kept = ("--exclude-operation-id-regex", "revoke_admin")
    examine(tmp_path, "/admin/v1/openapi.json", "--header", f"Authorization: Bearer {DEMO_ADMIN}", *kept)


def examine(tmp_path: Path, document: str, *words: str) -> None:
    # Bare model names go to the demo provider, so that well-formed requests are answered and not only refused.
    with serving("--store", "memory", env={"TIDEGATE_DEFAULT_PROVIDER": "demo"}) as (program, port):
        words = (
            *("--checks", ",".join(CHECKS), *words),
            *("--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "7", "--no-shrink"),
            *("--request-timeout", "20", "--suppress-health-check", "all", "--no-color"),
        )
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}{document}", *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr
        assert "Test cases:" in done.stdout
        assert not [line for line in program.err if "Traceback" in line]
