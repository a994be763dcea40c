"""Callers of Messages and Responses get the same on the leanest way and on the most general one: see `test_all_plans`.

Each recorded reply answers a request of each surface: as it came, if its provider speaks the caller's dialect, and
otherwise translated. Some clients send requests of the Responses API to the path of chats: they are parsed twice.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.test_all_plans import PATH, WORKSPACES, AnsweredCall, check, recorded, recorded_call
from tests.providers.recorded import exchanges

TEXT = "Which sea is the coldest?"
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
MESSAGES: dict[str, Any] = {"max_tokens": 300, "messages": [{"role": "user", "content": TEXT}]}
RESPONSES: dict[str, Any] = {"input": TEXT, "store": False}
ITEMS: dict[str, Any] = {
    "input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}],
    "instructions": "Be short.",
    "store": False,
}
SURFACES = {
    "messages": ("/v1/messages", MESSAGES),
    "responses": ("/v1/responses", RESPONSES),
    "responses to chats": (PATH, ITEMS),
}
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "messages": {
        "system": st.sampled_from(["Be short.", [{"type": "text", "text": "Be short."}]]),
        "stop_sequences": st.lists(st.text(max_size=5), max_size=3),
        "thinking": st.just({"type": "enabled", "budget_tokens": 1_024}),
        "tools": st.just([{"name": "find", "input_schema": SCHEMA}]),
        "max_tokens": st.integers(0, 4_000),
        "top_k": st.integers(1, 9),
    },
    "responses": {
        "instructions": st.text(max_size=9),
        "reasoning": st.just({"effort": "low"}),
        "tools": st.just([{"type": "function", "name": "find", "parameters": SCHEMA}]),
        "max_output_tokens": st.integers(0, 4_000),
        "text": st.just({"format": {"type": "json_schema", "name": "sea", "schema": SCHEMA}}),
        "input": st.sampled_from([TEXT, ITEMS["input"], [], 1]),
    },
}
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "temperature": st.floats(0, 2),
    "fallbacks": st.lists(st.sampled_from(["mistral/mistral-small-latest", "openai/gpt-4.1"]), max_size=1),
    "num_retries": st.integers(0, 1),
    "cache": st.just({"ttl": 60}),
    "guardrails": st.lists(st.sampled_from(["listed", "nobody"]), max_size=1),
    "require_parameters": st.booleans(),
    "unknown_field": st.integers(),
}
SEARCHING = {"model": "openai/gpt-4o", "tools": [{"type": "web_search"}]}
"""A search makes OpenAI's Responses API the one that answers."""


def _on_surface(surface: str, call: AnsweredCall, **fields: Any) -> AnsweredCall:
    path, body = SURFACES[surface]
    shared = {name: call.body[name] for name in ("model", "stream", "num_retries")}
    return replace(call, body={**body, **shared, **fields}, path=path)


def _answers(provider: str, surface: str) -> list[AnsweredCall]:
    """The recorded replies; of OpenAI also its responses, which their surface gets as they are unless checked."""
    if (provider, surface) != ("openai", "responses"):
        return recorded(provider)
    return recorded(provider) + [recorded_call(one) for one in exchanges(provider) if one.endpoint == "responses"]


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("provider", ["openai", "mistral", "anthropic", "bedrock", "gemini"])
async def test_every_recorded_reply(
    provider: str, surface: str, workspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = [_on_surface(surface, call) for call in _answers(provider, surface)]
    outcomes = await check(calls, caplog, workspace=WORKSPACES[workspace])
    assert workspace == "budget" or any(each["reply"][0] == 200 for each in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
async def test_every_recorded_response_of_openai(surface: str, caplog: pytest.LogCaptureFixture) -> None:
    call = [recorded_call(one) for one in exchanges("openai") if one.endpoint == "responses"]
    tools = {"messages": [{"type": "web_search_20250305", "name": "web_search"}]}.get(surface, SEARCHING["tools"])
    calls = [_on_surface(surface, each, **{**SEARCHING, "tools": tools}) for each in call]
    outcomes = await check(calls, caplog, workspace=WORKSPACES["bare"])
    assert any(each["reply"][0] == 200 for each in outcomes)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_few_recorded_replies(provider: str, surface: str, caplog: pytest.LogCaptureFixture) -> None:
    found = _answers(provider, surface)
    few = [*found[::40], *[call for call in found if call.body["stream"]][-3:]]
    outcomes = await check([_on_surface(surface, call) for call in few], caplog, workspace=WORKSPACES["all"])
    assert any(each["reply"][0] == 200 for each in outcomes)


@st.composite
def _calls(draw: st.DrawFn) -> AnsweredCall:
    """A request of a surface with fields at random, which a recorded reply answers, or an error."""
    surface, provider = draw(st.sampled_from(sorted(SURFACES))), draw(st.sampled_from(["openai", "anthropic"]))
    optional = {**SHARED, **FIELDS[surface.partition(" ")[0]]}
    fields = draw(st.fixed_dictionaries({}, optional=optional))
    streams = fields.get("stream", False)
    call = draw(st.sampled_from([each for each in _answers(provider, surface) if each.body["stream"] == streams]))
    return _on_surface(surface, replace(call, status=draw(st.sampled_from([call.status, 429, 503]))), **fields)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(_calls(), min_size=1, max_size=4), workspace=st.sampled_from(sorted(WORKSPACES)))
async def test_requests_that_nobody_chose(
    calls: list[AnsweredCall], workspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    await check(calls, caplog, workspace=WORKSPACES[workspace])
