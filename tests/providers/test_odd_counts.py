"""Counts that are no counts, in each dialect: a reply is not lost for them, and the bill can tell them from 0."""

from typing import Any

import pytest

from tidegate.domain.usage import INVALID_COUNT
from tidegate.providers.anthropic import usage as anthropic
from tidegate.providers.bedrock import normalise as bedrock
from tidegate.providers.cohere import normalise as cohere
from tidegate.providers.gemini import usage as gemini
from tidegate.providers.openai import usage as openai


def usages(input: Any, output: Any) -> dict[str, Any]:
    """The same counts in each dialect, as normalised."""
    return {
        "anthropic": anthropic.normalise({"input_tokens": input, "output_tokens": output}),
        "bedrock": bedrock.normalise_usage({"inputTokens": input, "outputTokens": output}),
        "cohere": cohere.normalise_usage({"tokens": {"input_tokens": input, "output_tokens": output}}),
        "gemini": gemini.normalise({"promptTokenCount": input, "candidatesTokenCount": output}),
        "openai": openai.normalise({"prompt_tokens": input, "completion_tokens": output}),
    }


@pytest.mark.parametrize("odd", [-1, -0.5, "twelve", "-12", "1e3", "", True, [], {}])
def test_what_is_no_count_is_told_from_0(odd: Any) -> None:
    for name, usage in usages(12, odd).items():
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (12, INVALID_COUNT), name
    for name, usage in usages(odd, 12).items():
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (INVALID_COUNT, 12), name


@pytest.mark.parametrize(("input", "output"), [(11.5, 12.0), ("12", "11.2")])
def test_a_fraction_is_rounded_up_and_a_count_as_text_is_one(input: Any, output: Any) -> None:
    for name, usage in usages(input, output).items():
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 12, 24), name


def test_an_absurd_count_is_left_for_the_bill() -> None:
    for name, usage in usages(10**18, 12).items():
        assert usage["prompt_tokens"] == 10**18, name


@pytest.mark.parametrize(("input", "estimated"), [(None, True), (0, None)])
def test_no_count_of_the_prompt_is_told_from_a_count_of_0(input: Any, estimated: bool | None) -> None:
    for name, usage in usages(input, 12).items():
        assert (usage["prompt_tokens"], usage.get("estimated")) == (0, estimated), name
