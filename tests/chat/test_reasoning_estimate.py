"""Reasoning that is billed and not shown, for calls whose usage never came."""

import pytest

from tidegate.catalog import CatalogModel, load_catalog
from tidegate.chat.reasoning import Reasoning
from tidegate.chat.reasoning_estimate import TOKENS_BY_EFFORT, assumed_reasoning


def model(model_id: str) -> CatalogModel:
    found = load_catalog().find_model(model_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model_id", "reasoning", "tokens"),
    [
        ("openai/gpt-4o", None, 0),
        ("openai/gpt-5", None, 1_200),
        ("openai/gpt-5", Reasoning(), 1_200),
        ("openai/gpt-5", Reasoning(effort="high"), 2_700),
        ("openai/gpt-5", Reasoning(effort="max"), 16_200),
        ("openai/gpt-5", Reasoning(enabled=False), 0),
        ("gemini/gemini-2.5-pro", Reasoning(max_tokens=300), 300),
        ("anthropic/claude-sonnet-4-5", None, 0),
        ("anthropic/claude-sonnet-4-5", Reasoning(max_tokens=4_000), 1_200),
    ],
)
def test_reasoning_is_assumed_by_what_was_asked_for(model_id: str, reasoning: Reasoning | None, tokens: int) -> None:
    assert assumed_reasoning(reasoning, model(model_id), 100) == tokens


def test_an_unknown_model_is_not_assumed_to_reason() -> None:
    assert assumed_reasoning(Reasoning(effort="high"), None, 100) == 0


def test_more_effort_is_never_assumed_to_take_less() -> None:
    efforts = [TOKENS_BY_EFFORT[each] for each in ("none", "minimal", "low", "medium", "high", "xhigh", "max")]
    assert efforts == sorted(efforts)
