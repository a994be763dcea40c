"""Which calls want the cache, and which of them are equal."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.store_worlds import outcome
from tidegate.chat.request import build_chat_request
from tidegate.domain.call import Call, parse_idempotency_key
from tidegate.errors import InvalidRequest
from tidegate.policy.caching.cache_key import (
    TTL_SECONDS,
    CachePolicy,
    cache_key_of,
    cache_policy,
    digest_of_idempotency_key,
    digest_of_request,
)
from tidegate.surfaces.neuroflash import NEUROFLASH

USER = {"role": "user", "content": "hi"}
LONGEST = 30 * 86_400


def call(default: int | None = None, **fields: Any) -> Call:
    made = outcome().call
    request = build_chat_request({"model": "gpt", "messages": [USER], **fields})
    return replace(made, request=request, workspace=replace(made.workspace, cache_ttl_seconds=default))


def key(model: str = "openai/gpt", namespace: str | None = None, **fields: Any) -> str:
    return cache_key_of(call(**fields).request, model, namespace)


@pytest.mark.parametrize(
    ("default", "fields", "wish"),
    [
        (None, {}, None),
        (None, {"caching": None, "cache": None}, None),
        (None, {"caching": False}, None),
        (None, {"caching": False, "cache": {"ttl": 5}}, None),
        (60, {"caching": False}, None),
        (None, {"caching": True}, CachePolicy(True, None, TTL_SECONDS, None)),
        (None, {"cache": {}}, CachePolicy(True, None, TTL_SECONDS, None)),
        (60, {}, CachePolicy(True, None, 60, None)),
        (60, {"caching": True}, CachePolicy(True, None, 60, None)),
        (60, {"cache": {"ttl": 5}}, CachePolicy(True, None, 5, None)),
        (0, {}, CachePolicy(True, None, 0, None)),
        (None, {"cache": {"ttl": LONGEST}}, CachePolicy(True, None, LONGEST, None)),
        (None, {"cache": {"ttl": 0}}, CachePolicy(True, None, 0, None)),
        (None, {"cache": {"s-maxage": 10.5}}, CachePolicy(True, 10.5, TTL_SECONDS, None)),
        (None, {"cache": {"s-maxage": 0}}, CachePolicy(False, 0, TTL_SECONDS, None)),
        (None, {"cache": {"no-cache": True}}, CachePolicy(False, None, TTL_SECONDS, None)),
        (None, {"cache": {"no-store": True, "ttl": 9}}, CachePolicy(True, None, 0, None)),
        (60, {"cache": {"no-cache": True, "no-store": True}}, CachePolicy(False, None, 0, None)),
        (None, {"cache": {"namespace": "n", "no-cache": False}}, CachePolicy(True, None, TTL_SECONDS, "n")),
    ],
)
def test_what_a_call_wants_of_the_cache(default: int | None, fields: dict[str, Any], wish: CachePolicy | None) -> None:
    assert cache_policy(call(default, **fields)) == wish


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"caching": "yes"}, "caching"),
        ({"cache": True}, "cache"),
        ({"cache": {"ttl": -1}}, "cache.ttl"),
        ({"cache": {"ttl": LONGEST + 1}}, "cache.ttl"),
        ({"cache": {"ttl": "60"}}, "cache.ttl"),
        ({"cache": {"ttl": True}}, "cache.ttl"),
        ({"cache": {"s-maxage": -0.5}}, "cache.s-maxage"),
        ({"cache": {"no-cache": 1}}, "cache.no-cache"),
        ({"cache": {"no-store": "x"}}, "cache.no-store"),
        ({"cache": {"namespace": ""}}, "cache.namespace"),
        ({"cache": {"namespace": "n" * 257}}, "cache.namespace"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        call(**fields)
    assert (caught.value.status, caught.value.param) == (400, path)


def test_what_the_cache_does_not_know_is_reported() -> None:
    assert "cache.type" in call(cache={"type": "semantic", "ttl": 5}).request.ignored


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True, "stream_options": {"include_usage": True}},
        {"user": "u", "metadata": {"a": 1}, "store": True, "prompt_cache_key": "k", "safety_identifier": "s"},
        {"caching": True, "cache": {"ttl": 5, "namespace": "n"}, "timeout": 5, "num_retries": 0, "fallbacks": ["a/b"]},
        {"temperature": None, "n": 1, "logprobs": False, "stop": [], "tools": [], "logit_bias": {}},
        {"require_parameters": False, "guardrails": []},
    ],
)
def test_calls_are_equal_whatever(fields: dict[str, Any]) -> None:
    assert key(**fields) == key()


def test_calls_are_equal_in_any_spelling_of_the_same() -> None:
    assert key(temperature=1, seed=2) == key(seed=2, temperature=1.0)
    assert key(max_tokens=9) == key(max_completion_tokens=9) == key(max_tokens=8, max_completion_tokens=9)
    assert key(guardrails=["a", "b"]) == key(guardrails=["b", "a", "a"])


def test_calls_differ_in_all_else() -> None:
    keys = [
        key(),
        key(model="openai/other"),
        key(namespace="n"),
        key(messages=[{"role": "user", "content": "hi!"}]),
        key(messages=[{"role": "system", "content": "hi"}]),
        key(messages=[USER, USER]),
        key(temperature=0),
        key(temperature=0.5),
        key(n=2),
        key(seed=1),
        key(max_tokens=9),
        key(stop="a"),
        key(reasoning={"exclude": True}),
        key(tools=[{"type": "web_search"}]),
        key(unknown=1),
        key(service_tier="flex"),
        key(require_parameters=True),
        key(guardrails=["a"]),
    ]
    assert len(set(keys)) == len(keys)


def test_a_null_within_a_schema_counts() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None]}}}
    other = {"type": "object", "properties": {"a": {"enum": ["x"]}}}

    def of(parameters: dict[str, Any]) -> str:
        return key(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])

    assert of(schema) != of(other)
    assert of({"b": 1, "a": 2}) == of({"a": 2, "b": 1})


def test_one_idempotency_key_is_for_one_body_of_one_surface() -> None:
    one = call(temperature=1, user="u")
    assert digest_of_request(one) == digest_of_request(call(user="u", temperature=1))
    others = (call(temperature=1), call(user="u", temperature=1, stream=True), replace(one, surface=NEUROFLASH))
    assert len({digest_of_request(other) for other in (one, *others)}) == 4
    assert digest_of_idempotency_key("a") != digest_of_idempotency_key("b")


@pytest.mark.parametrize("header", [None, "x", "550e8400-e29b-41d4-a716-446655440000", '"quoted"', "a b", "k" * 255])
def test_an_idempotency_key_is_any_printable_text(header: str | None) -> None:
    assert parse_idempotency_key(header) == header


@pytest.mark.parametrize("header", ["", " ", "k" * 256, "a\tb", "schlüssel", "a\x7f", "\x00"])
def test_what_is_no_idempotency_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_idempotency_key(header)
    assert (caught.value.status, caught.value.param) == (400, "idempotency-key")
