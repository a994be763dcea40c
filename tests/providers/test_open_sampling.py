"""Sampling fields of servers of open models: each provider gets them, or the caller is told that it does not."""

import pytest

from tests.providers.calls import asking, built
from tidegate.providers import Registry


@pytest.mark.parametrize("name", [spec.name for spec in Registry().specs() if spec.chats])
def test_a_field_without_an_equivalent_is_sent_renamed_or_reported(name: str) -> None:
    """`repetition_penalty` never becomes one of OpenAI's penalties: they do something else."""
    fields = {"repetition_penalty": 1.1, "top_k": 20, "min_p": 0.1, "seed": 7, "logit_bias": {"1": 1}}
    provider = Registry().load(name)
    for field, value in fields.items():
        request = built(provider, asking(**{field: value}))
        assert b"presence_penalty" not in request.body and b"frequency_penalty" not in request.body
        is_sent = request.body != built(provider, asking()).body
        assert is_sent != (field in request.ignored), field
