"""What goes to a provider of OpenAI's dialect."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import asking, built, call, sent
from tidegate.domain.call import Media
from tidegate.domain.deployment import Deployment
from tidegate.errors import InvalidRequest
from tidegate.providers import Registry
from tidegate.providers.base import KeyAuth, UpstreamRequest
from tidegate.providers.compatible import ROWS

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
EVERYTHING: dict[str, Any] = asking(
    temperature=0.1,
    top_p=0.9,
    n=2,
    max_tokens=5,
    stop=["x"],
    seed=1,
    presence_penalty=1,
    frequency_penalty=1,
    repetition_penalty=1.1,
    logit_bias={"1": 1},
    logprobs=True,
    top_logprobs=2,
    response_format={"type": "json_object"},
    structured_outputs=True,
    tools=[WEATHER, {"type": "web_search"}],
    tool_choice={"type": "function", "function": {"name": "weather"}},
    parallel_tool_calls=False,
    reasoning={"effort": "max"},
    web_search_options={"search_context_size": "low"},
    metadata={"a": "b"},
    user="u",
    stream=True,
    stream_options={"include_usage": False},
    some_new_field=1,
)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_request_goes_to_the_base_url_with_the_rows_auth(registry: Registry) -> None:
    deployment = Deployment("openai", "gpt-4.1", "https://host.invalid/v1/")
    request = registry.load("openai").build_request(call(asking()), deployment)
    assert request == UpstreamRequest(
        url="https://host.invalid/v1/chat/completions",
        body=b'{"model":"gpt-4.1","messages":[{"role":"user","content":"Hi"}]}',
        auth=KeyAuth(),
        call_id="01J",
        parse_plain=request.parse_plain,
    )


def _everything_of_chat(name: str) -> dict[str, Any]:
    """All fields, except a search where it leads to another API."""
    if "search" not in ROWS[name].quirks.responses:
        return EVERYTHING
    return {field: value for field, value in EVERYTHING.items() if field != "web_search_options"} | {"tools": [WEATHER]}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_field_is_sent_translated_or_reported(registry: Registry, name: str) -> None:
    everything = _everything_of_chat(name)
    body, ignored = sent(registry.load(name), everything)
    quirks = ROWS[name].quirks
    retold = {"max_tokens", "reasoning", "structured_outputs", "web_search_options", "stream_options"}
    retold |= {"messages", "model", *quirks.renames}
    for field in everything.keys() - retold:
        assert field in body or field in ignored, field
    assert "some_new_field" in body
    assert body.keys() & {"max_tokens", "max_completion_tokens"}
    assert len(ignored) == len(set(ignored))


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_request_is_not_changed_by_being_sent(registry: Registry, name: str) -> None:
    everything = _everything_of_chat(name)
    before = json.dumps(everything)
    built(registry.load(name), everything)
    assert json.dumps(everything) == before


@pytest.mark.parametrize("name", sorted(ROWS))
def test_usage_is_asked_for_in_every_stream_that_can_be_asked(registry: Registry, name: str) -> None:
    body, _ = sent(registry.load(name), _everything_of_chat(name))
    expected = {"include_usage": True} if ROWS[name].quirks.stream_usage else None
    assert body.get("stream_options") == expected


def test_gateway_fields_and_nulls_stay_here(registry: Registry) -> None:
    gateways = asking(
        observability=True, guardrails=["g"], fallbacks=["m"], timeout=3, require_parameters=True, stop=None
    )
    assert sent(registry.load("openai"), gateways) == ({**asking(), "model": "m"}, ())


def test_of_two_limits_the_newer_wins(registry: Registry) -> None:
    both = asking(max_tokens=1, max_completion_tokens=2)
    assert sent(registry.load("openai"), both) == ({**asking(), "model": "m", "max_completion_tokens": 2}, ())
    assert sent(registry.load("mistral"), both) == ({**asking(), "model": "m", "max_tokens": 2}, ())


@pytest.mark.parametrize("name", sorted(name for name, row in ROWS.items() if not row.quirks.media))
@pytest.mark.parametrize("part", [{"type": "video_url", "video_url": {"url": "u"}}, {"type": "document", "source": {}}])
def test_a_part_that_no_model_of_the_provider_takes_is_refused_by_its_path(
    registry: Registry, name: str, part: dict[str, Any]
) -> None:
    body = asking(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, part]}])
    with pytest.raises(InvalidRequest) as caught:
        built(registry.load(name), body)
    assert caught.value.param == "messages[0].content[1]"


def reading(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return asking(messages=[{"role": "user", "content": list(parts), **more}])


def document(**source: str) -> dict[str, Any]:
    return {"type": "document", "source": source}


@pytest.mark.parametrize("name", ["openai", "azure", "litellm"])
def test_files_by_url_are_fetched_for_those_who_want_their_bytes(registry: Registry, name: str) -> None:
    url = "https://a.invalid/b.pdf"
    asked = call(reading(document(type="url", url=url), {"type": "file", "file": {"filename": "c", "file_data": url}}))
    provider, deployment = registry.load(name), Deployment(name, "m", "https://host.invalid/v1")
    paths = ("messages[0].content[0].source.url", "messages[0].content[1].file.file_data")
    assert provider.media_urls(asked, deployment) == dict.fromkeys(paths, url)
    fetched = replace(asked, media={url: Media("application/pdf", b"%PDF-1.4")})
    data = "data:application/pdf;base64,JVBERi0xLjQ="
    assert json.loads(provider.build_request(fetched, deployment).body)["messages"][0]["content"] == [
        {"type": "file", "file": {"filename": "document.pdf", "file_data": data}},
        {"type": "file", "file": {"filename": "c", "file_data": data}},
    ]


@pytest.mark.parametrize("name", ["groq", "openai", "openrouter", "vllm"])
@pytest.mark.parametrize("source", [{"type": "text"}, {"type": "base64", "media_type": "text/plain"}])
def test_a_document_of_text_is_text_everywhere(registry: Registry, name: str, source: dict[str, str]) -> None:
    data = "Hi" if source["type"] == "text" else "SGk="
    body, ignored = sent(registry.load(name), reading({**document(data=data, **source), "title": "T"}))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    assert ignored == ("messages[0].content[0].title",)


@pytest.mark.parametrize(
    ("name", "source", "param"),
    [
        ("groq", {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}, ""),
        ("groq", {"type": "url", "url": "https://a.invalid/b.pdf"}, ""),
        ("openai", {"type": "base64", "media_type": "application/pdf", "data": "!"}, ".source.data"),
        ("openai", {"type": "base64", "media_type": "text/plain", "data": "/w=="}, ".source.data"),
        ("openrouter", {"type": "file", "file_id": "file_1"}, ""),
        ("openai", {"type": "content", "content": "a"}, ""),
    ],
)
def test_a_document_that_cannot_be_said_is_refused(
    registry: Registry, name: str, source: dict[str, str], param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        built(registry.load(name), reading(document(**source)))
    assert caught.value.param == f"messages[0].content[0]{param}"


@pytest.mark.parametrize("name", sorted(ROWS))
@pytest.mark.parametrize("model", ["m", "databricks-claude-sonnet-5"])
def test_marks_of_caching_go_only_to_those_who_document_them(registry: Registry, name: str, model: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    marked = reading({"type": "text", "text": "a", **mark}, **mark) | {"tools": [WEATHER | mark]} | mark
    plain = reading({"type": "text", "text": "a"}) | {"tools": [WEATHER]}
    quirks = ROWS[name].quirks
    is_taken = quirks.caching or (name == "databricks" and "claude" in model)
    body, ignored = sent(registry.load(name), marked, model)
    unmarked, told = sent(registry.load(name), plain, model)
    assert (body == unmarked) is not is_taken
    assert ignored == told
    if is_taken:
        assert body["messages"] == marked["messages"]


@pytest.mark.parametrize(
    ("model", "effort", "asked", "reported"),
    [
        ("gpt-5-mini", "minimal", "minimal", ()),
        ("gpt-5-mini-2025-08-07", "xhigh", "high", ("reasoning_effort",)),
        ("gpt-5.2", "xhigh", "xhigh", ()),
        ("gpt-5.1", "xhigh", "high", ("reasoning_effort",)),
        ("gpt-5.1-2025-11-13", "minimal", "low", ("reasoning_effort",)),
        ("gpt-5.4-mini", "max", "xhigh", ("reasoning_effort",)),
        ("gpt-5.6", "max", "max", ()),
        ("gpt-6", "none", "none", ()),
        ("o3", "none", None, ("reasoning_effort",)),
        ("o1-2024-12-17", "low", "low", ()),
        ("ft:gpt-4.1:acme::x", "low", None, ("reasoning_effort",)),
        ("gpt-5-chat-latest", "none", None, ()),
        ("some-new-model", "max", "max", ()),
    ],
)
def test_openai_is_asked_for_efforts_that_the_model_knows(
    registry: Registry, model: str, effort: str, asked: str | None, reported: tuple[str, ...]
) -> None:
    body, ignored = sent(registry.load("openai"), asking(reasoning_effort=effort), model)
    assert (body.get("reasoning_effort"), ignored) == (asked, reported)


@pytest.mark.parametrize(
    ("wish", "said", "reported"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"reasoning": {"max_tokens": 2048}}, ()),
        ({"thinking": {"thinking": True, "effort": "high"}}, {"reasoning": {"effort": "high"}}, ()),
        ({"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}, ()),
        ({"reasoning": {"enabled": True, "exclude": True}}, {"reasoning": {"enabled": True, "exclude": True}}, ()),
    ],
)
def test_every_way_to_ask_for_reasoning_means_the_same_to_openrouter(
    registry: Registry, wish: dict[str, Any], said: dict[str, Any], reported: tuple[str, ...]
) -> None:
    assert sent(registry.load("openrouter"), asking(**wish), "a/m") == ({**asking(), "model": "a/m", **said}, reported)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openrouter", "a/claude"),
        ("vercel", "a/claude"),
        ("snowflake", "claude-4-sonnet"),
        ("databricks", "databricks-claude-4"),
    ],
)
@pytest.mark.parametrize("field", ["reasoning.max_tokens", "thinking.budget_tokens"])
def test_a_budget_for_reasoning_fits_into_the_limit_where_it_is_sent(
    registry: Registry, name: str, model: str, field: str
) -> None:
    outer, inner = field.split(".")
    thinking = {outer: {inner: 30_000, **({"type": "enabled"} if outer == "thinking" else {})}}
    for limit in ({"max_tokens": 30_000}, {"max_completion_tokens": 1}):
        with pytest.raises(InvalidRequest, match="must be below the output limit") as caught:
            sent(registry.load(name), asking(model=f"{name}/{model}", **limit, **thinking), model)
        assert caught.value.param == field
    assert "30000" in json.dumps(sent(registry.load(name), asking(max_tokens=30_001, **thinking), model))


def test_a_budget_for_an_effort_fits_into_the_limit(registry: Registry) -> None:
    fields = asking(reasoning_effort="high", max_tokens=5_000)
    body, _ = sent(registry.load("databricks"), fields, "databricks-claude-4")
    assert body["thinking"]["budget_tokens"] == 4_999


def test_a_budget_becomes_an_effort_where_there_are_no_budgets_and_is_reported(registry: Registry) -> None:
    body, ignored = sent(registry.load("openai"), asking(thinking={"type": "enabled", "budget_tokens": 3000}), "o3")
    assert (body["reasoning_effort"], ignored) == ("medium", ("thinking.budget_tokens",))


def test_ids_of_tool_calls_fit_mistral_and_still_belong_together(registry: Registry) -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": one, "type": "function", "function": {"name": "f", "arguments": ""}}
                for one in ("call_1", "call_2")
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "a"},
        {"role": "tool", "tool_call_id": "call_2", "content": "b"},
    ]
    body, _ = sent(registry.load("mistral"), asking(messages=messages))
    called = [one["id"] for one in body["messages"][1]["tool_calls"]]
    assert [one["tool_call_id"] for one in body["messages"][2:]] == called
    assert len(set(called)) == 2
    assert all(len(one) == 9 and one.isalnum() for one in called)
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_audio_of_an_earlier_turn_goes_back_as_its_id(registry: Registry) -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "audio_1", "data": "…", "transcript": "Hi"}}
    body, _ = sent(registry.load("openai"), asking(messages=[*asking()["messages"], spoken]))
    assert body["messages"][1] == {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}


NATIVE = ["anthropic", "bedrock", "cohere", "gemini", "vertex"]


@pytest.mark.parametrize("name", NATIVE)
def test_callers_of_functions_get_function_calls_unless_they_speak_of_tools(registry: Registry, name: str) -> None:
    spoken = [{"role": "user", "content": "Hi"}, {"role": "function", "name": "f", "content": "1"}]
    legacy, both = asking(functions=[{"name": "f"}]), asking(functions=[{"name": "f"}], tools=[WEATHER])
    assert built(registry.load(name), legacy).legacy_functions is True
    assert built(registry.load(name), both).legacy_functions is False
    assert built(registry.load(name), both).ignored == ("functions",)
    assert built(registry.load(name), asking(tools=[WEATHER]) | {"messages": spoken}).legacy_functions is False


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "gemini"])
def test_what_is_wrong_with_a_function_call_is_named_by_the_callers_names(registry: Registry, name: str) -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "["}}
    asked = asking(functions=[{"name": "f"}]) | {"messages": [{"role": "user", "content": "Hi"}, called]}
    with pytest.raises(InvalidRequest) as caught:
        built(registry.load(name), asked)
    assert caught.value.param == "messages[1].function_call.arguments"


def test_functions_become_tools_where_only_tools_are_known(registry: Registry) -> None:
    legacy = asking(functions=[{"name": "f"}])
    assert built(registry.load("deepseek"), legacy).legacy_functions is True
    assert built(registry.load("openai"), legacy).legacy_functions is False
    assert built(registry.load("deepseek"), asking(tools=[WEATHER])).legacy_functions is False


@pytest.mark.parametrize("sends_back", [True, False])
def test_reasoning_that_must_come_back_does_even_if_the_client_forgets_it(registry: Registry, sends_back: bool) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s", "index": 0}]
    tool_calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turn = {"role": "assistant", "content": None, "tool_calls": tool_calls}
    if sends_back:
        turn["reasoning_details"] = details
    messages = [*asking()["messages"], turn, {"role": "tool", "tool_call_id": "call_1", "content": "a"}]
    admitted = replace(call(asking(messages=messages)), signatures={} if sends_back else {1: details})
    for name, expected in (("openrouter", {"reasoning_details": details}), ("deepseek", {"reasoning_content": "Hm."})):
        provider = registry.load(name)
        assert provider.signs_reasoning(admitted, Deployment(name, "m", "https://host.invalid"))
        request = provider.build_request(admitted, Deployment(name, "m", "https://host.invalid/v1"))
        assert json.loads(request.body)["messages"][1] == {
            "role": "assistant",
            "content": None,
            "tool_calls": tool_calls,
            **expected,
        }


def test_reasoning_does_not_go_to_a_provider_that_would_refuse_it(registry: Registry) -> None:
    turn = {"role": "assistant", "content": "a", "reasoning": "b", "reasoning_content": "b", "reasoning_details": [{}]}
    body, _ = sent(registry.load("openai"), asking(messages=[*asking()["messages"], turn]))
    assert body["messages"][1] == {"role": "assistant", "content": "a"}


JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "required": ["a"]}}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}}


@pytest.mark.parametrize(("name", "model"), [("gemini", "gemini-2.5-pro"), ("cohere", "command-a-03-2025")])
def test_where_tools_and_json_exclude_each_other_the_answer_is_a_tool(
    registry: Registry, name: str, model: str
) -> None:
    def asked(**more: Any) -> tuple[UpstreamRequest, Any]:
        body = asking(tools=[WEATHER], **more)
        request = built(registry.load(name), body, model)
        return request, json.dumps(json.loads(request.body) | {"messages": [], "contents": []})

    either, said = asked(response_format=JSON_SCHEMA)
    assert either.answer_tool == "respond_in_json" and '"weather"' in said and not _speaks_of_json(said)
    assert '"ANY"' in said or '"REQUIRED"' in said
    named, _ = asked(response_format=JSON_SCHEMA, messages=_called("respond_in_json"))
    assert named.answer_tool == "respond_in_json_2"
    forced, said = asked(response_format=JSON_SCHEMA, tool_choice="required")
    assert (forced.answer_tool, _speaks_of_json(said), forced.ignored) == (None, False, ())
    forbidden, said = asked(response_format=JSON_SCHEMA, tool_choice="none")
    assert (forbidden.answer_tool, _speaks_of_json(said), forbidden.ignored) == (None, True, ())
    assert "weather" not in said
    loose, said = asked(response_format={"type": "json_object"})
    assert (loose.answer_tool, _speaks_of_json(said), loose.ignored) == (None, False, ("response_format",))


def test_a_choice_among_some_functions_has_the_answer_among_them(registry: Registry) -> None:
    asked = asking(tools=[WEATHER], tool_choice=ALLOWED, response_format=JSON_SCHEMA)
    body, _ = sent(registry.load("gemini"), asked, "gemini-2.5-pro")
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather", "respond_in_json"]}
    }


def _speaks_of_json(said: str) -> bool:
    return "response_format" in said or "responseMimeType" in said


def _called(name: str) -> list[Any]:
    called = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    answer = {"role": "tool", "tool_call_id": "c1", "content": "x"}
    return [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [called]}, answer]
