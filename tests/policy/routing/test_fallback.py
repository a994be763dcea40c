"""Who may answer for a model: in which order, and which lists make no sense."""

from typing import Any

import pytest

from tests.work import counted
from tidegate import catalog
from tidegate.chat.request import build_chat_request
from tidegate.domain.deployment import ProviderConfig
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace
from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    NotConfigured,
    ProviderBadRequest,
    ProviderFailed,
    ProviderRateLimited,
    QuotaExhausted,
    StoreUnavailable,
    TidegateError,
)
from tidegate.policy.routing.fallback import Candidate, best_error, candidates, remaining_candidates
from tidegate.policy.routing.router import Router

ENDPOINTS = {
    "openai": ProviderConfig("openai", "https://openai.test/v1", "OPENAI_API_KEY"),
    "groq": ProviderConfig("groq", "https://groq.test/v1", "GROQ_API_KEY"),
    "mistral": ProviderConfig("mistral", "https://mistral.test/v1", "MISTRAL_API_KEY", ("MISTRAL_API_KEY",)),
}
A, B, C, D = "openai/a", "openai/b", "groq/c", "groq/d"
CATALOG = catalog.load_catalog()
FAST = Route("fast", (RouteTarget(A),), fallbacks=(C, "gone"))
ROUTER = Router(ENDPOINTS, {}, CATALOG, routes=(FAST,))
WORKSPACE = Workspace("ws_test", "Test")
SHORT = [{"role": "user", "content": "Hello."}]


def found(model: str = A, messages: Any = SHORT, **fields: Any) -> list[Candidate]:
    return candidates(build_chat_request({"model": model, "messages": messages, **fields}), ROUTER, CATALOG, WORKSPACE)


def tried(**fields: Any) -> list[tuple[str, str]]:
    return [(candidate.path, candidate.request.model) for candidate in found(**fields)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"fallbacks": []}, []),
        ({"fallbacks": [B, C]}, [("fallbacks[0]", B), ("fallbacks[1]", C)]),
        ({"fallbacks": [{"model": B}, C]}, [("fallbacks[0]", B), ("fallbacks[1]", C)]),
        ({"fallbacks": [{A: [B, C]}, {D: [B]}]}, [("fallbacks[0].openai/a[0]", B), ("fallbacks[0].openai/a[1]", C)]),
        ({"fallbacks": [{D: [B]}]}, []),
        ({"fallbacks": [{A: [B]}, {B: [C]}]}, [("fallbacks[0].openai/a[0]", B), ("fallbacks[1].openai/b[0]", C)]),
        ({"models": [A, B]}, [("models[1]", B)]),
        ({"models": [B, C]}, [("models[0]", B), ("models[1]", C)]),
        ({"fallbacks": [B], "models": [A, C]}, [("fallbacks[0]", B), ("models[1]", C)]),
        ({"fallbacks": ["mistral/m"]}, [("fallbacks[0]", "mistral/m")]),
        ({"context_window_fallback_dict": {A: B}}, []),
    ],
)
def test_every_shape_of_a_list_is_read(fields: Any, expected: list[tuple[str, str]]) -> None:
    assert tried(**fields) == [("model", A), *expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [("route", C), ("route", "gone")]),
        ({"context_window_fallback_dict": {"fast": B}}, [("route", C), ("route", "gone")]),
        ({"fallbacks": []}, []),
        ({"fallbacks": [B]}, [("fallbacks[0]", B)]),
        ({"models": [B]}, [("models[0]", B)]),
    ],
)
def test_a_routes_fallbacks_are_for_callers_who_name_none(fields: Any, expected: list[tuple[str, str]]) -> None:
    assert tried(model="fast", **fields) == [("model", "fast"), *expected]


def test_a_fallback_is_asked_with_its_own_parameters() -> None:
    _, changed = found(temperature=1, max_tokens=9, fallbacks=[{"model": B, "temperature": 0, "max_tokens": None}])
    assert (changed.request.fields.temperature, changed.request.output_limit) == (0, None)
    assert changed.request.body["temperature"] == 0
    assert changed.request.body["model"] == B


def test_the_same_model_may_be_asked_again_with_other_parameters() -> None:
    assert tried(fallbacks=[{"model": A, "temperature": 0}]) == [("model", A), ("fallbacks[0]", A)]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"fallbacks": [A]}, "fallbacks[0]"),
        ({"fallbacks": [B, B]}, "fallbacks[1]"),
        ({"fallbacks": [B], "models": [A, B]}, "models[1]"),
        ({"models": [B, A]}, "models[1]"),
        ({"fallbacks": ["nobody/x"]}, "fallbacks[0]"),
        ({"models": [A, "nobody/x"]}, "models[1]"),
        ({"fallbacks": [{"model": "nobody/x"}]}, "fallbacks[0]"),
        ({"fallbacks": [{A: [B]}, {B: [A]}]}, "fallbacks[1].openai/b[0]"),
        ({"fallbacks": [{A: [A]}]}, "fallbacks[0].openai/a[0]"),
        ({"fallbacks": [{A: B}]}, "fallbacks[0].openai/a"),
        ({"fallbacks": [{A: [1]}]}, "fallbacks[0].openai/a"),
        ({"fallbacks": [{A: [""]}]}, "fallbacks[0].openai/a"),
        ({"fallbacks": [{}]}, "fallbacks[0]"),
        ({"fallbacks": [{"model": 1}]}, "fallbacks[0].model"),
        ({"fallbacks": [{"model": ""}]}, "fallbacks[0].model"),
        ({"fallbacks": [{"model": B, "temperature": 9}]}, "fallbacks[0].temperature"),
        ({"fallbacks": [{"model": B, "messages": []}]}, "fallbacks[0].messages"),
        ({"fallbacks": [{"model": B, "stream": True}]}, "fallbacks[0].stream"),
        ({"fallbacks": [{"model": B, "fallbacks": [C]}]}, "fallbacks[0].fallbacks"),
        ({"fallbacks": [f"openai/{i}" for i in range(16)]}, "fallbacks"),
        ({"fallbacks": [*(f"openai/{i}" for i in range(15)), "nobody/x"]}, "fallbacks"),
        ({"fallbacks": [{A: [f"openai/{i}" for i in range(100_000)]}]}, "fallbacks"),
        ({"context_window_fallback_dict": {A: A}}, "context_window_fallback_dict.openai/a"),
        ({"context_window_fallback_dict": {A: B, B: A}}, "context_window_fallback_dict.openai/a"),
        ({"context_window_fallback_dict": {A: "nobody/x"}}, "context_window_fallback_dict.openai/a"),
    ],
)
def test_lists_that_loop_or_name_nobody_are_refused_by_their_path(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        found(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("num_retries", -1, "num_retries"),
        ("num_retries", 99, "num_retries"),
        ("num_retries", 1.5, "num_retries"),
        ("fallbacks", "b", "fallbacks"),
        ("fallbacks", [1], "fallbacks[0]"),
        ("models", "b", "models"),
        ("models", [""], "models[0]"),
        ("fallbacks", [B] * 65, "fallbacks"),
        ("models", [B] * 17, "models"),
        ("guardrails", ["secrets"] * 65, "guardrails"),
        ("context_window_fallback_dict", {f"openai/{i}": B for i in range(65)}, "context_window_fallback_dict"),
        ("context_window_fallback_dict", [], "context_window_fallback_dict"),
        ("context_window_fallback_dict", {A: 1}, "context_window_fallback_dict.openai/a"),
    ],
)
def test_what_is_no_list_or_number_is_refused_at_the_door(field: str, value: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        found(**{field: value})
    assert caught.value.param == param


@pytest.mark.parametrize(("size", "most"), [(0, 16), (32 * 1024, 16), (64 * 1024, 8), (128 * 1024, 4), (10**7, 4)])
def test_a_long_body_may_name_fewer_models(size: int, most: int) -> None:
    def name(count: int) -> list[Candidate]:
        fallbacks = [f"openai/{i}" for i in range(count - 1)]
        request = build_chat_request({"model": A, "messages": SHORT, "fallbacks": fallbacks}, size)
        return candidates(request, ROUTER, CATALOG, WORKSPACE)

    assert len(name(most)) == most
    with pytest.raises(InvalidRequest, match=f"may name at most {most} models"):
        name(most + 1)


def test_overrides_of_a_fallback_leave_the_rest_of_the_body_as_it_is_validated() -> None:
    messages = [{"role": "user", "content": "a"}] * 1_000
    fallbacks = [{"model": f"openai/{i}", "temperature": 1, "tools": None} for i in range(15)]
    request = build_chat_request({"model": A, "messages": messages, "fallbacks": fallbacks})
    with counted() as work:
        found = candidates(request, ROUTER, CATALOG, WORKSPACE)
    assert work.lines < 5_000
    assert {candidate.request.body["temperature"] for candidate in found[1:]} == {1}


def test_a_model_that_nobody_serves_is_not_found_though_it_has_fallbacks() -> None:
    with pytest.raises(ModelNotFound):
        found("nobody/x", fallbacks=[A])


SMALL, BIG = "openai/gpt-3.5-turbo", "openai/gpt-4.1"
"""Of 16 thousand tokens and of a million."""

LONG = [{"role": "user", "content": "Tides rise and fall. " * 12_000}]


def test_a_prompt_that_cannot_fit_goes_to_the_bigger_model_at_once() -> None:
    asked = tried(model=SMALL, messages=LONG, context_window_fallback_dict={SMALL: BIG}, fallbacks=[A])
    assert asked == [(f"context_window_fallback_dict.{SMALL}", BIG), ("fallbacks[0]", A)]


def test_the_bigger_models_own_bigger_one_is_found() -> None:
    bigger = {SMALL: "openai/gpt-4", "openai/gpt-4": BIG}
    assert tried(model=SMALL, messages=LONG, context_window_fallback_dict=bigger) == [
        ("context_window_fallback_dict.openai/gpt-4", BIG)
    ]


@pytest.mark.parametrize(("model", "messages"), [(SMALL, SHORT), (BIG, LONG), ("openai/unknown", LONG)])
def test_a_prompt_that_may_fit_is_left_to_the_provider_to_refuse(model: str, messages: Any) -> None:
    asked = tried(model=model, messages=messages, context_window_fallback_dict={model: "openai/gpt-5"})
    assert asked == [("model", model)]


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (ProviderFailed("x"), [C]),
        (ProviderRateLimited("x"), [C]),
        (ProviderBadRequest("x"), [C]),
        (ContentPolicyViolation("x"), [C]),
        (ContextLengthExceeded("x"), [B, C]),
        (NotConfigured("x"), [C]),
        (QuotaExhausted("x", limit="usd_per_day", maximum=1), [C]),
        (ModelNotAllowed("x"), []),
        (InvalidRequest("x"), []),
        (StoreUnavailable("x"), []),
    ],
)
def test_who_is_asked_next_depends_on_what_went_wrong(error: TidegateError, names: list[str]) -> None:
    asked, rest = found(fallbacks=[C], context_window_fallback_dict={A: B})
    assert [candidate.request.model for candidate in remaining_candidates(error, asked, [rest])] == names


def test_a_fallback_that_may_not_be_asked_is_passed_over() -> None:
    _, second, third = found(fallbacks=[B, C])
    assert remaining_candidates(ModelNotAllowed("x"), second, [third]) == [third]
    assert remaining_candidates(InvalidRequest("x"), second, [third]) == [third]


def test_the_caller_hears_of_the_model_that_was_asked_for_unless_another_failure_may_pass() -> None:
    limited, refused, failed = ProviderRateLimited("x"), ContextLengthExceeded("x"), ProviderFailed("x")
    quota = QuotaExhausted("x", limit="usd_per_day", maximum=1)
    assert best_error(None, refused) is refused
    assert best_error(limited, failed) is limited
    assert best_error(limited, refused) is limited
    assert best_error(refused, failed) is failed
    assert best_error(refused, quota) is refused
