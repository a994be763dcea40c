"""`make run` passes its variables on to the server."""

import subprocess

import pytest

from tests.import_graph import ROOT

RUNS = [
    ((), "--host 127.0.0.1 --port 8000"),
    (("PORT=9001", "HOST=::1"), "--host ::1 --port 9001"),
    (("PORT=9001", "EMBEDDED_PORT=9002"), "--host 127.0.0.1 --port 9001 --store embedded --embedded-port 9002"),
    (("SERVE_ARGS=--ephemeral",), "--host 127.0.0.1 --port 8000 --ephemeral"),
]


@pytest.mark.parametrize(("variables", "options"), RUNS)
def test_the_variables_of_make_run_are_options_of_the_server(variables: tuple[str, ...], options: str) -> None:
    done = subprocess.run(["make", "-n", "run", *variables], cwd=ROOT, capture_output=True, text=True, check=True)
    assert " ".join(done.stdout.splitlines()[-1].split()) == f".venv/bin/python -m tidegate serve {options}"


def test_the_installation_that_people_wait_for_says_what_it_does() -> None:
    """With a time stamp of the future for the constraints, everything is installed again."""
    words = ["make", "-n", "--what-if=infra/constraints-run.txt", "run"]
    lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    install = next(line for line in lines if "--requirement infra/constraints-run.txt" in line)
    assert "--quiet" not in install
    assert any("Installing" in line for line in lines[: lines.index(install)])
