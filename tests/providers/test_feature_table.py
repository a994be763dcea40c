"""The table of features is current, and no provider loses anything silently."""

import pytest

from tests.providers.feature_table import DOCUMENT, known, measure, render
from tests.providers.features import FEATURES

NAMES = [one.name for one, _ in known()]
USUAL = {"text", "stream", "tools", "image as data", "JSON schema", "stop", "seed", "reasoning", "logprobs"}


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text() == render(), "run: python -m tests.providers.feature_table --write"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_is_said(name: str) -> None:
    states = measure(name)
    assert {one.name for one in FEATURES if not one.hint and states[one.name][0] == "unsaid"} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_provider_answers_whole_and_in_a_stream(name: str) -> None:
    assert {measure(name)[feature][0] for feature in ("text", "stream")} <= {"proven", "mapped"}


@pytest.mark.parametrize("name", ["azure", "cohere"])
def test_what_clients_use_most_is_proven(name: str) -> None:
    assert {feature for feature, (state, _) in measure(name).items() if state == "proven"} >= USUAL
