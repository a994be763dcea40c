"""How long providers and models are waited for, and what cannot be meant."""

import json
from typing import Any

import pytest

from tidegate.domain.timeouts import DEFAULT_TIMEOUTS, ProviderTimeouts, parse_timeout_rules
from tidegate.errors import ConfigurationError

GIVEN: Any = {
    "openai/o3": {"total": 500},
    "*": {"connect": 2, "between": 60},
    "openai/o3*": {"total": 900, "first_byte": 300},
    "openai": {"first_byte": 30.5, "between": 20},
    "openai/*": {"between": 25},
}


@pytest.mark.parametrize(
    ("model_id", "patience"),
    [
        ("mistral/small", ProviderTimeouts(2, None, 60, None)),
        ("openai/gpt-5", ProviderTimeouts(2, 30.5, 25, None)),
        ("openai/o3-pro", ProviderTimeouts(2, 300, 25, 900)),
        ("openai/o3", ProviderTimeouts(2, 300, 25, 500)),
        ("openai2/o3", ProviderTimeouts(2, None, 60, None)),
    ],
)
def test_what_is_more_specific_wins_field_by_field(model_id: str, patience: ProviderTimeouts) -> None:
    assert parse_timeout_rules(GIVEN).timeouts_for(model_id) == patience


def test_what_is_not_given_is_as_usual() -> None:
    assert parse_timeout_rules({}).timeouts_for("openai/o3") == DEFAULT_TIMEOUTS
    assert parse_timeout_rules({"vllm": {}}).timeouts_for("vllm/a") == DEFAULT_TIMEOUTS


def test_brackets_are_only_brackets() -> None:
    table = parse_timeout_rules({"vllm/a[1m]*": {"total": 1}})
    assert (table.timeouts_for("vllm/a[1m]-2").total, table.timeouts_for("vllm/a1").total) == (1, None)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([], "TIDEGATE_TIMEOUTS must be a JSON object of objects."),
        ({"*": 5}, "TIDEGATE_TIMEOUTS['*'] must be an object."),
        (
            {"op*": {}, "/x": {}, "a/": {}},
            "TIDEGATE_TIMEOUTS['op*'] must be '*', a provider's name, or provider/model; "
            "TIDEGATE_TIMEOUTS['/x'] must be '*', a provider's name, or provider/model; "
            "TIDEGATE_TIMEOUTS['a/'] must be '*', a provider's name, or provider/model.",
        ),
        (
            {"*": {"conect": 1, "total": 0}, "openai": {"between": "60"}},
            "TIDEGATE_TIMEOUTS['*'] has the unknown field 'conect'; "
            "known fields are connect, first_byte, between, total; "
            "TIDEGATE_TIMEOUTS['*'] must have a positive number of seconds in 'total'; "
            "TIDEGATE_TIMEOUTS['openai'] must have a positive number of seconds in 'between'.",
        ),
        ({"*": {"total": True}}, "TIDEGATE_TIMEOUTS['*'] must have a positive number of seconds in 'total'."),
        (
            json.loads('{"*": {"total": 1e999}}'),
            "TIDEGATE_TIMEOUTS['*'] must have a positive number of seconds in 'total'.",
        ),
        ({"*": {"total": None}}, "TIDEGATE_TIMEOUTS['*'] must have a positive number of seconds in 'total'."),
    ],
)
def test_every_fault_is_named(listed: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_timeout_rules(listed)
    assert caught.value.message == message
