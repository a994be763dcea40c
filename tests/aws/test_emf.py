"""Metrics in the log lines of calls: valid for CloudWatch, few, and only where they are wanted."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from tests.store_worlds import outcome
from tests.world import STREAM, USER, answers, new_call, streams, world
from tidegate.aws.emf import UNITS, model_family
from tidegate.aws.logs import JsonLines
from tidegate.catalog import load_catalog
from tidegate.pipeline.observation import log_fields

# Source: the specification that `aws/emf.py` names, in its words "MUST" and "MUST NOT".
NAME = {"type": "string", "minLength": 1, "maxLength": 255}
UNIT = (
    "Seconds|Microseconds|Milliseconds|Percent|Count|None|Count/Second|"
    "((Kilo|Mega|Giga|Tera)?(bits|bytes)|Bits|Bytes)(/Second)?"
)
METRIC = {
    "type": "object",
    "required": ["Name"],
    "properties": {"Name": NAME, "Unit": {"type": "string", "pattern": f"^({UNIT})$"}},
    "additionalProperties": False,
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": NAME,
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": 9, "items": NAME},
        },
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": METRIC},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1_500_000_000_000, "maximum": 5_000_000_000_000},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
            },
            "additionalProperties": False,
        }
    },
}
CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the gateway logs, as on Lambda."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines(has_metrics=True))
    log = logging.getLogger("tidegate")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield out
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def with_metrics(lines: io.StringIO) -> list[dict[str, Any]]:
    """The lines that have metrics; all of them are valid."""
    found = [line for line in map(json.loads, lines.getvalue().splitlines()) if "_aws" in line]
    for line in found:
        check(line)
    return found


def check(line: dict[str, Any]) -> None:
    jsonschema.validate(line, SCHEMA)
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            assert type(line[metric["Name"]]) in (int, float)
        for name in {name for names in directive["Dimensions"] for name in names}:
            assert isinstance(line[name], str)
            assert 0 < len(line[name]) < 256


def written(fields: dict[str, object], *, level: int = logging.INFO, has_metrics: bool = True) -> dict[str, Any]:
    record = logging.makeLogRecord({"levelno": level, "msg": "call.settled", **fields})
    return json.loads(JsonLines(has_metrics=has_metrics).format(record))


def test_the_schema_refuses_what_is_not_the_format() -> None:
    line = written(log_fields(outcome()))
    check(line)
    for change in (
        {"Namespace": ""},
        {"Dimensions": []},
        {"Metrics": [{"Unit": "Count"}]},
        {"Metrics": [{"Name": "calls", "Unit": "USD"}]},
    ):
        directive = line["_aws"]["CloudWatchMetrics"][0]
        wrong = {**line, "_aws": {**line["_aws"], "CloudWatchMetrics": [{**directive, **change}]}}
        with pytest.raises(jsonschema.ValidationError):
            check(wrong)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_line_of_a_call_has_its_metrics(lines: io.StringIO, stream: bool) -> None:
    async with world(streams(*STREAM) if stream else None) as client:
        await client.post({**CALL, "stream": stream})
    [line] = with_metrics(lines)
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "tidegate",
            "Dimensions": [[], ["provider", "model_family"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in UNITS.items()],
        },
        {"Namespace": "tidegate", "Dimensions": [["status"]], "Metrics": [{"Name": "calls", "Unit": "Count"}]},
    ]
    assert {
        name: line[name] for name in ("status", "provider", "model_family", "calls", "errors", "tokens", "cost")
    } == {
        "status": "ok",
        "provider": "openai",
        "model_family": "gpt-4",
        "calls": 1,
        "errors": 0,
        "tokens": 26,
        "cost": 0.0000248,
    }
    assert (line["duration"], line["time_to_first_token"]) == (line["seconds"], line["first_event_seconds"])
    assert abs(line["_aws"]["Timestamp"] / 1000 - json_time(line["timestamp"])) < 1


def json_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_call_that_got_nowhere_is_an_error_without_the_metrics_that_it_lacks(lines: io.StringIO) -> None:
    async with world() as client:
        assert (await client.post({**CALL, "model": "nobody/knows"})).status == 404
    [line] = with_metrics(lines)
    assert (line["status"], line["provider"], line["errors"], line["calls"]) == ("failed", "none", 1, 1)
    assert "time_to_first_token" not in line


async def test_a_model_without_a_price_has_no_cost(lines: io.StringIO) -> None:
    async with world() as client:
        await client.post({**CALL, "model": "openai/nobody-knows"})
    [line] = with_metrics(lines)
    assert ("cost" in line, line["model_family"]) == (False, "other")


async def test_a_call_that_was_not_recorded_is_counted_once(lines: io.StringIO) -> None:
    async with world() as client:
        client.recorder.unavailable = True
        await client.post(CALL)
    [line] = with_metrics(lines)
    assert (line["message"], line["calls"]) == ("meter.failed", 1)


async def test_no_line_of_a_batch_has_metrics(lines: io.StringIO) -> None:
    async with world() as client:
        gateway = client.app.lifespan_state["gateway"]
        call = replace(await new_call(gateway, CALL), batch_id="batch_1", batch_line=7)
        async with gateway.answer(call):
            pass
    assert '"call.settled"' in lines.getvalue()
    assert with_metrics(lines) == []


async def test_other_lines_have_no_metrics(lines: io.StringIO) -> None:
    async with world(answers({"error": {}}, 500)) as client:
        await client.post({**CALL, "num_retries": 1})
    assert lines.getvalue().count("\n") > 1
    assert len(with_metrics(lines)) == 1


def test_metrics_are_off_unless_they_are_wanted() -> None:
    assert "_aws" not in written(log_fields(outcome()), has_metrics=False)


def test_no_dimension_has_a_name_that_callers_choose() -> None:
    directives: Any = written(log_fields(outcome()))["_aws"]["CloudWatchMetrics"]
    sets = [tuple(names) for directive in directives for names in directive["Dimensions"]]
    assert sets == [(), ("provider", "model_family"), ("status",)]


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("openai/gpt-5.1-mini", "gpt-5"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("openai/gpt-17", "gpt"),
        ("openai/chatgpt-4o-latest", "other"),
        ("openai/o3-mini", "o3"),
        ("openai/foo3-mini", "other"),
        ("bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet"),
        ("anthropic/claude-3-5-haiku-latest", "claude-haiku"),
        ("anthropic/claude-2.1", "claude"),
        ("openrouter/meta-llama/llama-3.3-70b-instruct:free", "llama"),
        ("groq/sonnet-writer", "other"),
        ("mistral/", "other"),
        ("", "other"),
    ],
)
def test_a_model_has_a_family(model_id: str, family: str) -> None:
    assert model_family(model_id) == family


def test_there_are_few_families_and_most_models_have_one() -> None:
    families = [model_family(model_id) for model_id in load_catalog().ids()]
    assert len(set(families)) < 60
    assert families.count("other") < len(families) / 5
    assert all(re.fullmatch(r"[a-z0-9-]{2,20}", family) for family in families)
