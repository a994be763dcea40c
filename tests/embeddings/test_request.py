"""Requests for embeddings: what is accepted, what is refused, and what they count."""

import json
from typing import Any

import pytest

from tidegate.domain.operation import Text
from tidegate.domain.usage import TokenCounts
from tidegate.embeddings.operation import EMBEDDINGS
from tidegate.embeddings.request import MAX_INPUTS, EmbeddingsRequest
from tidegate.errors import InvalidRequest

MODEL = {"model": "openai/text-embedding-3-small"}


def request(**fields: Any) -> EmbeddingsRequest:
    parsed = EMBEDDINGS.parse(json.dumps({**MODEL, **fields}).encode())
    assert isinstance(parsed, EmbeddingsRequest)
    return parsed


@pytest.mark.parametrize(
    ("sent", "inputs"),
    [
        ("tide", ["tide"]),
        (["tide", "gate"], ["tide", "gate"]),
        ([5, 6, 7], [[5, 6, 7]]),
        ([[5, 6], [7]], [[5, 6], [7]]),
    ],
)
def test_an_input_is_a_text_or_its_tokens(sent: Any, inputs: list[Any]) -> None:
    assert request(input=sent).inputs == inputs


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [[1], "a"]}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": [None]}, "input[0]"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a"] * (MAX_INPUTS + 1)}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "stream": True}, "stream"),
        ({"input": "a", "input_type": ""}, "input_type"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        request(**fields)
    assert raised.value.param == param


def test_a_long_list_of_tokens_is_one_input() -> None:
    assert len(request(input=[1] * (MAX_INPUTS + 1)).inputs) == 1


def test_tokens_count_as_they_are_and_texts_never_too_few() -> None:
    tokens = request(input=[[1] * 100, [2] * 50])
    assert (tokens.estimate_prompt(), tokens.worst_case(None)) == (150, TokenCounts(input=156, estimated=True))
    text = request(input="The tide gate opens by itself.")
    assert text.estimate_prompt() <= text.worst_case(None).input
    assert (text.worst_case(None).output, text.worst_case(None).searches) == (0, 0)


def test_guardrails_get_the_texts_with_their_paths_and_tokens_as_encoded() -> None:
    assert EMBEDDINGS.request_texts(request(input="tide")) == [Text("tide", "input")]
    assert EMBEDDINGS.request_texts(request(input=["tide", "gate"])) == [
        Text("tide", "input[0]"),
        Text("gate", "input[1]"),
    ]
    assert EMBEDDINGS.request_texts(request(input=[[1, 2]])) == [Text("1 2", "input[0]", kind="encoded")]


@pytest.mark.parametrize(
    ("sent", "texts", "changed"),
    [
        ("tide", ["***"], "***"),
        (["tide", "gate"], ["***", "gate"], ["***", "gate"]),
        ([[1, 2], [3]], ["1 2", "3"], [[1, 2], [3]]),
        ([1, 2], ["1 2"], [1, 2]),
    ],
)
def test_masked_texts_stand_where_they_stood(sent: Any, texts: list[str], changed: Any) -> None:
    masked = EMBEDDINGS.with_request_texts(request(input=sent), texts)
    assert masked.body["input"] == changed


def test_the_cache_tells_apart_what_changes_the_vectors() -> None:
    plain = request(input="tide").cache_fields()
    assert plain == request(input="tide", user="u", caching=True, dimensions=None).cache_fields()
    others = ({"dimensions": 8}, {"encoding_format": "base64"}, {"input_type": "query"}, {"input": "gate"})
    assert all(request(**{"input": "tide", **other}).cache_fields() != plain for other in others)


def test_a_request_changes_its_model_and_its_fields() -> None:
    changed = request(input="tide", dimensions=8).with_model("voyage/voyage-4").without_fields(["dimensions"])
    assert (changed.model, changed.body) == ("voyage/voyage-4", {"model": "voyage/voyage-4", "input": "tide"})
