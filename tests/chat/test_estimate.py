"""Estimates, where the truth is known: tokens of o200k_base, OpenAI's vocabulary since gpt-4o."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.chat import estimate
from tidegate.chat.estimate import IMAGE_TOKENS, estimate_prompt, estimate_text
from tidegate.chat.request import build_chat_request
from tidegate.json import Json


def prompt(*messages: Json, **more: Json) -> int:
    return estimate_prompt(build_chat_request({"model": "demo/echo", "messages": list(messages), **more}).fields)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Write a tagline for an AI content platform.", 9),
        ("The capital of France is Paris.", 7),
        ("The quick brown fox jumps over the lazy dog.", 10),
    ],
)
def test_english_is_estimated_within_a_quarter(text: str, tokens: int) -> None:
    assert abs(estimate_text(text) - tokens) <= max(2, tokens / 4)


def test_only_the_empty_text_has_no_tokens() -> None:
    assert [estimate_text(text) for text in ("", "a", " ", ".", "é")] == [0, 1, 1, 1, 1]


@given(st.lists(st.text("ab1.é", max_size=3)).map(" ".join))
def test_a_text_in_pieces_is_estimated_like_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = estimate_text(text)
        patch.setattr(estimate, "PIECE_CHARACTERS", 5)
        assert abs(estimate_text(text) - whole) <= 1  # it is rounded


@given(st.text(), st.text())
def test_more_text_is_never_much_less(one: str, other: str) -> None:
    # Two words may become one where they meet.
    assert estimate_text(one + other) >= estimate_text(one) - 1


def test_a_prompt_counts_everything_that_the_model_reads() -> None:
    user: Json = {"role": "user", "content": "What is the weather in Paris?"}
    call: Json = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    schema: Json = {"type": "object", "properties": {"city": {"type": "string"}}}
    function: Json = {"name": "weather", "description": "The weather of a city", "parameters": schema}
    alone = prompt(user)
    assert prompt(user, user) > alone
    assert prompt(user, {"role": "assistant", "content": None, "tool_calls": [call]}) > alone + 10
    assert prompt(user, tools=[{"type": "function", "function": function}]) > alone + 10
    assert prompt(user, functions=[function]) == prompt(user, tools=[{"type": "function", "function": function}])
    form: Json = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    assert prompt(user, response_format=form) > alone + 10


def test_an_image_is_a_constant_whatever_its_bytes() -> None:
    def seen(url: str) -> int:
        return prompt({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})

    assert seen("https://example.com/a.png") == seen("data:image/png;base64," + "A" * 100_000)
    assert seen("https://example.com/a.png") - prompt({"role": "user", "content": ""}) == IMAGE_TOKENS


def test_every_part_has_an_estimate() -> None:
    parts: list[Json] = [
        {"type": "text", "text": "a"},
        {"type": "refusal", "refusal": "a"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
    ]
    empty = prompt({"role": "user", "content": ""})
    assert all(prompt({"role": "user", "content": [part]}) > empty for part in parts)
