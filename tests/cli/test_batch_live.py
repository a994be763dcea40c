"""`tidegate batch` against a gateway in this process, with the demo provider and the batch engine."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.batch.world import jsonl, request
from tests.cli.live_server import KEY, served
from tests.cli.terminal import Said
from tidegate.cli import batch as batch_command


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def tidegate(url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    def typed(*words: str) -> Said:
        parser = argparse.ArgumentParser(prog="tidegate")
        batch_command.add_parser(parser.add_subparsers(required=True), "batch", "batches")
        options = parser.parse_args(["batch", *words, "--url", url, "--key", KEY])
        return Said(batch_command.run(options, {}), *capsys.readouterr())

    return typed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [request(number, f"Tide {number}", "demo/echo") for number in range(250)]
    lines[7]["body"]["model"] = "demo/error-400"
    path = tmp_path / "tides.jsonl"
    path.write_bytes(jsonl(lines))
    return path


def test_a_batch_from_its_file_to_its_results(tidegate: Any, file: Path, tmp_path: Path) -> None:
    said = tidegate("submit", str(file), "--output", str(tmp_path / "out"), "--metadata", "kind=tide")
    assert said.code == 1
    assert "lines        250 (249 completed, 1 failed)" in said.out
    output = [json.loads(line) for line in (tmp_path / "out" / "tides.output.jsonl").read_bytes().splitlines()]
    errors = [json.loads(line) for line in (tmp_path / "out" / "tides.errors.jsonl").read_bytes().splitlines()]
    assert [each["custom_id"] for each in output] == [f"line-{number}" for number in range(250) if number != 7]
    assert [each["custom_id"] for each in errors] == ["line-7"]
    assert output[9]["response"]["body"]["choices"][0]["message"]["content"] == "Tide 10"
    assert errors[0]["response"]["status_code"] == 400

    listed = tidegate("list", "--json").json["data"]
    assert [(each["status"], each["metadata"]) for each in listed] == [("completed", {"kind": "tide"})]
    batch_id = listed[0]["id"]
    results = tidegate("results", batch_id)
    assert results.code == 1
    assert results.out.encode() == (tmp_path / "out" / "tides.output.jsonl").read_bytes()
    assert results.err.encode() == (tmp_path / "out" / "tides.errors.jsonl").read_bytes()
    assert tidegate("show", batch_id, "--json").json == listed[0]
    assert tidegate("cancel", batch_id).code == 2


def test_a_batch_that_fails_says_which_line_is_wrong(tidegate: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(jsonl([request(0, model="demo/echo"), b"not JSON"]))
    said = tidegate("submit", str(path), "--wait")
    assert (said.code, "error        line 2: " in said.out) == (2, True)


def test_a_batch_of_another_workspace_does_not_exist(tidegate: Any) -> None:
    said = tidegate("show", "batch_00000000000000000000000000")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("tidegate: ") and "batch_00000000000000000000000000" in said.err


def test_a_large_file_arrives_whole(tidegate: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    body = {"padding": "x" * 100_000}
    path.write_bytes(jsonl([{**request(number, model="demo/echo"), **body} for number in range(60)]))
    said = tidegate("submit", str(path), "--json")
    assert said.json["input_file_id"].startswith("file-")
    batch_id = said.json["id"]
    assert tidegate("show", batch_id, "--wait", "--json").json["request_counts"]["total"] == 60
