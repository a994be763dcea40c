"""The table of OpenTelemetry's names, and what is documented of it."""

import re

from tests.import_graph import ROOT
from tidegate.domain.otel import ATTEMPT_ATTRIBUTES, CALL_ATTRIBUTES, EVENTS, PROVIDER_NAMES, REQUEST_ATTRIBUTES
from tidegate.providers import Registry

_NAME = re.compile(r"`((?:gen_ai|tidegate|http|server|error)\.[a-z_.]+)`")
_OF_CONTENT = {
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"),
    *("gen_ai.request.stop_sequences", "tidegate.content.omitted"),
}


def section(title: str) -> str:
    text = (ROOT / "docs" / "OBSERVABILITY.md").read_text()
    return text.partition(f"\n{title}\n")[2].partition("\n## ")[0]


def test_the_documented_names_are_those_of_the_tables() -> None:
    spans = section("## OpenTelemetry").partition("### Spans")[2].partition("### Metrics over OTLP")[0]
    assert set(_NAME.findall(spans)) == {
        *CALL_ATTRIBUTES,
        *ATTEMPT_ATTRIBUTES,
        *REQUEST_ATTRIBUTES,
        *_OF_CONTENT,
        *(name for name, _ in EVENTS.values()),
    }


def test_providers_with_a_well_known_name_exist_and_are_documented() -> None:
    assert set(PROVIDER_NAMES) <= {spec.name for spec in Registry().specs()}
    assert all(f"`{name}`" in section("## OpenTelemetry") for name in PROVIDER_NAMES.values())
