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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.aws.emf_format import read_metrics
from tests.store_worlds import call_fields
from tests.world import STREAM, USER, answers, new_call, streams, world
from tidegate.aws import emf
from tidegate.aws.emf import CLASSES, FAMILIES, UNITS, error_class, model_family
from tidegate.aws.logs import JsonLines
from tidegate.catalog import load_catalog
from tidegate.domain.response_state import PreviousResponseNotFound
from tidegate.errors import TidegateError

NAMESPACE = "tidegate/test"
CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the gateway logs, as on Lambda."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines(NAMESPACE))
    log = logging.getLogger("tidegate")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield out
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def with_metrics(lines: io.StringIO) -> list[dict[str, Any]]:
    """The lines that have metrics; all of them are valid."""
    found = [line for line in map(json.loads, filter(None, lines.getvalue().split("\n"))) if "_aws" in line]
    for line in found:
        read_metrics(line)
    return found


def written(
    fields: dict[str, object], *, level: int = logging.INFO, namespace: str | None = NAMESPACE
) -> dict[str, Any]:
    record = logging.makeLogRecord({"levelno": level, "msg": "call.settled", **fields})
    return json.loads(JsonLines(namespace).format(record))


@pytest.mark.parametrize(
    "change",
    [
        {"Namespace": ""},
        {"Namespace": "AWS/Lambda"},
        {"Dimensions": []},
        {"Dimensions": [["absent"]]},
        {"Dimensions": [["calls"]]},
        {"Dimensions": [[f"name{number}" for number in range(31)]]},
        {"Metrics": []},
        {"Metrics": [{"Unit": "Count"}]},
        {"Metrics": [{"Name": "calls", "Unit": "USD"}]},
        {"Metrics": [{"Name": "calls", "StorageResolution": 30}]},
        {"Metrics": [{"Name": "status"}]},
        {"Metrics": [{"Name": "absent"}]},
        {"Metrics": [{"Name": f"metric{number}"} for number in range(101)]},
    ],
)
def test_the_schema_refuses_what_is_not_the_format(change: dict[str, Any]) -> None:
    line = written(call_fields())
    read_metrics(line)
    directive = line["_aws"]["CloudWatchMetrics"][0]
    wrong = {**line, "_aws": {**line["_aws"], "CloudWatchMetrics": [{**directive, **change}]}}
    with pytest.raises(jsonschema.ValidationError):
        read_metrics(wrong)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_line_of_a_call_has_its_metrics(lines: io.StringIO, stream: bool) -> None:
    async with world(streams(*STREAM) if stream else None) as client:
        await client.post({**CALL, "stream": stream})
    [line] = with_metrics(lines)
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [[], ["provider", "model_family"]],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in UNITS.items()],
        },
        {"Namespace": NAMESPACE, "Dimensions": [["status"]], "Metrics": [{"Name": "calls", "Unit": "Count"}]},
        {
            "Namespace": NAMESPACE,
            "Dimensions": [[]],
            "Metrics": [{"Name": f"{name}_errors", "Unit": "Count"} for name in CLASSES],
        },
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
    assert "_aws" not in written(call_fields(), namespace=None)


def test_no_dimension_has_a_name_that_callers_choose() -> None:
    directives: Any = written(call_fields())["_aws"]["CloudWatchMetrics"]
    sets = [tuple(names) for directive in directives for names in directive["Dimensions"]]
    assert sets == [(), ("provider", "model_family"), ("status",), ()]


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


MOST_FAMILIES = 60
KNOWN_FAMILIES = {*FAMILIES, "claude-opus", "claude-sonnet", "claude-haiku", "other", *(f"o{n}" for n in range(1, 10))}

hostile = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
words = st.sampled_from(
    ["gpt-4", "o3", "claude", "opus", "-", "/", ":", "GPT-5", "llama", "9", "echo", "\n", "é", "=="]
)
names = st.lists(words | hostile, max_size=6).map("".join)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(names, min_size=1, max_size=30))
def test_no_name_of_a_model_makes_more_dimensions_than_there_are_families(names: list[str]) -> None:
    lines = [written({**call_fields(), "model": f"openai/{name}"}) for name in names]
    sets = {dimensions for line in lines for _, dimensions in read_metrics(line)}
    families = {("model_family", name) for name in KNOWN_FAMILIES}
    assert sets <= {
        frozenset(),
        frozenset({("status", "ok")}),
        *(frozenset({("provider", "demo"), family}) for family in families),
    }
    assert len(KNOWN_FAMILIES) < MOST_FAMILIES


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(name=names)
async def test_callers_make_no_dimension_of_a_provider(lines: io.StringIO, name: str) -> None:
    lines.seek(0)
    lines.truncate()
    async with world() as client:
        await client.post({**CALL, "model": f"openai/{name}"})
        await client.post({**CALL, "model": f"{name}/gpt-4"})
    assert {line["provider"] for line in with_metrics(lines)} <= {"none", "openai"}


PROVIDERS = (
    *("provider_error", "provider_auth_error", "provider_rate_limited", "provider_overloaded", "provider_timeout"),
    *("provider_unreachable", "provider_malformed_response", "provider_stream_cut"),
)
GATEWAYS = (
    *("store_unavailable", "issuer_unavailable", "guardrail_unavailable", "provider_not_configured"),
    *("gateway_timeout", "configuration_error"),
)
LIMITS = ("rate_limit_exceeded", "insufficient_quota")


def every_code(kind: type[TidegateError] = TidegateError) -> set[str]:
    return {kind.code or "internal_error"}.union(*map(every_code, kind.__subclasses__()))


def test_each_error_has_a_class_and_the_callers_are_the_rest() -> None:
    known = {
        **dict.fromkeys(PROVIDERS, "provider"),
        **dict.fromkeys(GATEWAYS, "gateway"),
        **dict.fromkeys(LIMITS, "limit"),
        "internal_error": "gateway",
    }
    codes = every_code()
    assert codes >= set(known)
    assert {code: error_class(code) for code in codes} == {code: known.get(code, "caller") for code in codes}


def test_an_error_that_was_defined_later_has_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emf, "_CLASS_BY_CODE", {})
    assert error_class(PreviousResponseNotFound.code) == "caller"


@pytest.mark.parametrize(
    ("failure", "values"),
    [
        ({"status": "ok"}, (0, 0, 0, 0)),
        ({"status": "failed", "error_code": "provider_timeout"}, (1, 1, 0, 0)),
        ({"status": "failed", "error_code": "store_unavailable"}, (1, 0, 1, 0)),
        ({"status": "failed", "error_code": "nobody_knows"}, (1, 0, 1, 0)),
        ({"status": "failed", "error_code": "insufficient_quota"}, (1, 0, 0, 1)),
        ({"status": "failed", "error_code": "provider_bad_request"}, (1, 0, 0, 0)),
        ({"status": "cancelled", "error_code": None}, (0, 0, 0, 0)),
    ],
)
def test_each_call_has_a_value_for_each_class_so_that_averages_are_rates(
    failure: dict[str, Any], values: tuple[int, ...]
) -> None:
    line = written({**call_fields(), **failure})
    metrics = read_metrics(line)
    names = ("errors", *(f"{name}_errors" for name in CLASSES))
    assert tuple(metrics[name, frozenset()] for name in names) == tuple([value] for value in values)
    assert ("error_class" in line) == (failure["status"] == "failed")
