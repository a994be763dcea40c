"""What Anthropic's API wants otherwise than OpenAI's, model by model, and what its replies mean."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.anthropic_types import unknown_to_anthropic
from tests.providers.assembling import run
from tests.providers.calls import asking, built, call, sent
from tidegate.domain.call import Media
from tidegate.domain.deployment import Deployment
from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InvalidRequest,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderMalformed,
    ProviderOverloaded,
    ProviderTimeout,
    StreamCut,
)
from tidegate.providers.anthropic import PROVIDER
from tidegate.providers.anthropic.capabilities import capabilities_of
from tidegate.providers.base import KeyAuth, StreamEvent

SONNET = "claude-sonnet-4-5"
NOW = {"type": "function", "function": {"name": "now"}}
USER = {"role": "user", "content": "Hi"}
HI = [{"type": "text", "text": "Hi"}]


def body(model: str = SONNET, **fields: Any) -> dict[str, Any]:
    return sent(PROVIDER, asking(**fields), model)[0]


def ignored(model: str = SONNET, **fields: Any) -> tuple[str, ...]:
    return sent(PROVIDER, asking(**fields), model)[1]


def turns(*messages: dict[str, Any]) -> list[Any]:
    return body(messages=list(messages))["messages"]


def refused(model: str = SONNET, **fields: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        sent(PROVIDER, asking(**fields), model)
    return caught.value.param


def reply(*content: dict[str, Any], stop_reason: str = "end_turn") -> Any:
    counted = {"input_tokens": 1, "output_tokens": 1}
    message: Any = {"type": "message", "content": list(content), "stop_reason": stop_reason, "usage": counted}
    return PROVIDER.parse_completion(message)["choices"][0]


def event(kind: str, **fields: Any) -> StreamEvent:
    return StreamEvent(kind, json.dumps({"type": kind, **fields}))


# The envelope


def test_the_key_goes_into_its_own_header_and_the_version_is_said() -> None:
    request = built(PROVIDER, asking(), SONNET)
    assert request.auth == KeyAuth("x-api-key", "")
    assert request.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    assert request.url == "https://host.invalid/v1/v1/messages"


def test_a_feature_in_beta_says_so_once() -> None:
    part = {"type": "file", "file": {"file_id": "file_1"}}
    request = built(PROVIDER, asking(messages=[{"role": "user", "content": [part, part]}], betas=["b"]), SONNET)
    assert request.headers["anthropic-beta"] == "files-api-2025-04-14,b"


def test_nothing_but_the_name_of_a_beta_gets_into_the_header() -> None:
    request = built(PROVIDER, asking(betas=["a-1\r\nx-api-key: b", "b-2"]), SONNET)
    assert request.headers["anthropic-beta"] == "b-2"
    assert request.ignored == ("betas",)


def test_building_a_request_changes_nothing_of_the_callers() -> None:
    for path in sorted((Path(__file__).parent / "cases/anthropic").glob("*/request.json")):
        asked = json.loads(path.read_text())
        before = json.dumps(asked)
        try:
            written, _ = sent(PROVIDER, asked, asked["model"].partition("/")[2])
        except InvalidRequest:
            continue
        assert json.dumps(asked) == before, path.parent.name
        assert unknown_to_anthropic(written) == [], path.parent.name


# Limits


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-opus-4-1", 32_000),
        ("claude-sonnet-4-5-20250929", 64_000),
        ("claude-opus-5-5", 128_000),
        ("claude-fable-5-2", 128_000),
        ("claude-3-5-sonnet-20240620", 8_192),
        ("claude-3-opus-latest", 4_096),
        ("claude-2", 4_096),
        ("claude-sonnet-9", 128_000),
        ("some-other-maker", 8_192),
    ],
)
def test_without_a_limit_the_models_own_is_sent(model: str, limit: int) -> None:
    assert body(model)["max_tokens"] == limit


def test_the_callers_limit_wins_and_the_newer_name_of_it() -> None:
    assert body(max_tokens=7)["max_tokens"] == 7
    assert body(max_tokens=7, max_completion_tokens=9)["max_tokens"] == 9


# Messages


def test_a_conversation_without_a_user_is_refused() -> None:
    assert refused(messages=[{"role": "system", "content": "a"}]) == "messages"


def test_an_assistant_who_speaks_first_gets_a_user_before_them() -> None:
    first, second, third = turns({"role": "assistant", "content": "Hello"}, USER)
    assert (first["role"], second["role"], third["role"]) == ("user", "assistant", "user")
    assert first["content"] == [{"type": "text", "text": "(no content)"}]


def test_tool_results_come_first_in_one_turn_whatever_came_between() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in "ab"]
    *_, last = turns(
        USER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        USER,
        {"role": "tool", "tool_call_id": "b", "content": ""},
    )
    assert last["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
        {"type": "tool_result", "tool_use_id": "b"},
        *HI,
    ]


def test_a_blank_text_is_left_out_and_a_blank_turn_has_a_placeholder() -> None:
    parts = [{"type": "text", "text": " \n"}, {"type": "text", "text": "Hi"}]
    assert turns({"role": "user", "content": parts}) == [{"role": "user", "content": HI}]
    blank = turns(USER, {"role": "assistant", "content": ""}, {"role": "user", "content": " "})
    assert [turn["content"] for turn in blank[1:]] == [[{"type": "text", "text": "(no content)"}]] * 2


def test_the_beginning_of_an_answer_ends_without_a_space() -> None:
    assert turns(USER, {"role": "assistant", "content": "Once upon \n"})[-1]["content"] == [
        {"type": "text", "text": "Once upon"}
    ]
    assert turns(USER, {"role": "assistant", "content": " "}) == [{"role": "user", "content": HI}]


@pytest.mark.parametrize("arguments", ["[1]", '{"a"', "nope", '"text"'])
def test_arguments_that_are_no_object_are_refused_by_their_path(arguments: str) -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    said = [USER, {"role": "assistant", "content": None, "tool_calls": calls}]
    assert refused(messages=said) == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize("arguments", ["", " ", "{}", "null"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    assert turns(USER, {"role": "assistant", "tool_calls": calls})[1]["content"][0]["input"] == {}


def test_calls_of_one_old_function_have_an_id_each() -> None:
    asked = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    told = {"role": "function", "name": "f", "content": "1"}
    said = turns(USER, asked, told, asked, told)
    ids = [(said[i]["content"][0]["id"], said[i + 1]["content"][0]["tool_use_id"]) for i in (1, 3)]
    assert ids[0][0] == ids[0][1]
    assert ids[1][0] == ids[1][1]
    assert ids[0] != ids[1]


def test_a_refusal_that_is_replayed_is_text() -> None:
    said = turns(USER, {"role": "assistant", "content": None, "refusal": "No."}, USER)
    assert said[1]["content"] == [{"type": "text", "text": "No."}]


# Media


@pytest.mark.parametrize(
    ("magic", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF1234WEBP", "image/webp"),
    ],
)
def test_an_image_is_what_its_first_bytes_say(magic: bytes, kind: str) -> None:
    data = b64encode(magic + bytes(40)).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/bmp;base64,{data}"}}
    source = {"type": "base64", "media_type": kind, "data": data}
    assert turns({"role": "user", "content": [part]})[0]["content"] == [{"type": "image", "source": source}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://a.invalid/b.mp4"}},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
        {"type": "image_url", "image_url": {"url": "data:image/png"}},
        {"type": "file", "file": {"filename": "a.docx", "file_data": "data:application/msword;base64,AAAA"}},
    ],
)
def test_a_part_that_claude_cannot_read_is_refused_by_its_path(part: dict[str, Any]) -> None:
    assert refused(messages=[{"role": "user", "content": [HI[0], part]}]) == "messages[0].content[1]"


def test_files_are_documents_from_wherever_they_come() -> None:
    text = b64encode("Grüße".encode()).decode()
    files = [{"file_data": f"data:text/plain;base64,{text}"}, {"file_id": "https://a.invalid/b.pdf"}]
    files += [{"file_id": "file_1", "filename": "a.PNG"}, {"file_data": "JVBERi0xLjQK"}]
    content = turns({"role": "user", "content": [{"type": "file", "file": file} for file in files]})[0]["content"]
    assert [(block["type"], block["source"]) for block in content] == [
        ("document", {"type": "text", "media_type": "text/plain", "data": "Grüße"}),
        ("document", {"type": "url", "url": "https://a.invalid/b.pdf"}),
        ("image", {"type": "file", "file_id": "file_1"}),
        ("document", {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}),
    ]


def test_only_a_plain_http_image_is_fetched_for_anthropic() -> None:
    urls = ["http://a.invalid/1.png", "https://a.invalid/2.png"]
    asked = call(
        asking(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": u}} for u in urls]}])
    )
    deployment = Deployment("anthropic", SONNET, "https://host.invalid")
    assert PROVIDER.media_urls(asked, deployment) == {"messages[0].content[0].image_url.url": urls[0]}
    fetched = replace(asked, media={urls[0]: Media("image/png", b"\x89PNG\r\n\x1a\n")})
    content = json.loads(PROVIDER.build_request(fetched, deployment).body)["messages"][0]["content"]
    assert [block["source"]["type"] for block in content] == ["base64", "url"]


# Sampling and the rest


@pytest.mark.parametrize(
    ("model", "asked", "kept", "reported"),
    [
        (SONNET, {"temperature": 1.2}, {}, ("temperature",)),
        (SONNET, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, ("top_p",)),
        (SONNET, {"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}, ()),
        (SONNET, {"temperature": 0.2, "top_p": 1}, {"temperature": 0.2}, ()),
        ("claude-3-5-haiku-latest", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2, "top_p": 0.9}, ()),
        ("claude-opus-4-7", {"temperature": 0.2, "top_p": 1, "top_k": 3}, {}, ("temperature", "top_k")),
        ("claude-opus-5-5", {"temperature": 1}, {}, ()),
        (SONNET, {"n": 2, "seed": 1, "logprobs": False}, {}, ("n", "seed")),
        (
            SONNET,
            {"stop": ["a", " "], "user": "u1"},
            {"stop_sequences": ["a"], "metadata": {"user_id": "u1"}},
            ("stop[1]",),
        ),
        (SONNET, {"user": "+49 170 1234567"}, {}, ("user",)),
        (SONNET, {"service_tier": "priority", "verbosity": "low"}, {}, ("service_tier", "verbosity")),
    ],
)
def test_what_a_model_does_not_take_is_reported(
    model: str, asked: dict[str, Any], kept: dict[str, Any], reported: tuple[str, ...]
) -> None:
    plain = body(model)
    assert body(model, **asked) == {**plain, **kept}
    assert ignored(model, **asked) == reported


# Tools


def test_anthropics_own_tools_keep_their_names() -> None:
    search = {"type": "function", "function": {"name": "web_search"}}
    written = body(tools=[search, {"type": "memory_20250818", "name": "memory"}], web_search_options={})["tools"]
    assert [tool["name"] for tool in written] == ["web_search_2", "memory", "web_search"]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "now"}}}, {"type": "tool", "name": "now"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_the_choice_among_tools_is_kept(fields: dict[str, Any], choice: dict[str, Any] | None) -> None:
    assert body(tools=[NOW], **fields).get("tool_choice") == choice


def test_a_choice_without_tools_is_reported_only_if_it_asks_for_something() -> None:
    assert ignored(tool_choice="required") == ("tool_choice",)
    assert ignored(tool_choice="none", tools=[]) == ()


def test_a_strict_tool_is_strict_where_the_model_can_hold_it() -> None:
    plain = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    hard = {**plain, "properties": {"a": {"type": "string", "minLength": 2}}}
    for schema, model, strict in ((plain, SONNET, True), (hard, SONNET, None), (plain, "claude-opus-4-0", None)):
        tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
        assert body(model, tools=[tool])["tools"][0].get("strict") is strict
        assert body(model, tools=[tool])["tools"][0]["input_schema"] == schema
        assert ignored(model, tools=[tool]) == (() if strict else ("tools[0].function.strict",))


# Reasoning


@pytest.mark.parametrize(
    ("model", "asked", "kept", "reported"),
    [
        (SONNET, {"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ()),
        (SONNET, {"reasoning_effort": "none"}, {}, ()),
        (
            SONNET,
            {"reasoning": {"max_tokens": 100}},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            ("reasoning.max_tokens",),
        ),
        (SONNET, {"max_tokens": 1024, "reasoning_effort": "low"}, {"max_tokens": 1024}, ("reasoning_effort",)),
        ("claude-3-5-haiku-latest", {"reasoning_effort": "low"}, {}, ("reasoning_effort",)),
        (
            "claude-opus-4-6",
            {"reasoning": {"max_tokens": 5000}},
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
            (),
        ),
        (
            "claude-opus-4-6",
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
            ("reasoning_effort",),
        ),
        (
            "claude-opus-4-7",
            {"reasoning": {"max_tokens": 8000, "exclude": True}},
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "medium"}},
            ("reasoning.max_tokens",),
        ),
        ("claude-opus-4-7", {"thinking": {"type": "disabled"}}, {}, ()),
        ("claude-opus-5", {"thinking": {"thinking": False, "effort": "low"}}, {"thinking": {"type": "disabled"}}, ()),
        ("claude-sonnet-5-5", {"reasoning_effort": "none"}, {"thinking": {"type": "between_tools"}}, ()),
        ("claude-fable-5-1", {"reasoning_effort": "none"}, {"output_config": {"effort": "low"}}, ("reasoning_effort",)),
        (
            "claude-haiku-5-5",
            {"reasoning": {"enabled": True}},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            (),
        ),
    ],
)
def test_reasoning_is_asked_for_in_the_models_own_words(
    model: str, asked: dict[str, Any], kept: dict[str, Any], reported: tuple[str, ...]
) -> None:
    assert body(model, **asked) == {**body(model), **kept}
    assert ignored(model, **asked) == reported


def test_a_budget_that_leaves_no_room_for_an_answer_is_refused() -> None:
    assert refused(max_tokens=2000, reasoning={"max_tokens": 2000}) == "reasoning.max_tokens"
    assert refused(max_tokens=1000, thinking={"type": "enabled", "budget_tokens": 500}) == "thinking.budget_tokens"


def test_a_budget_from_an_effort_always_fits() -> None:
    for limit in (1025, 1500, 4096, 100_000):
        for effort in ("minimal", "low", "medium", "high", "xhigh", "max"):
            budget = body(max_tokens=limit, reasoning_effort=effort)["thinking"]["budget_tokens"]
            assert 1024 <= budget < limit


def test_thinking_leaves_out_what_it_forbids_and_says_so() -> None:
    asked = {"temperature": 0.5, "top_p": 0.5, "top_k": 4, "tools": [NOW], "tool_choice": "required"}
    written = body(**asked, reasoning_effort="low")
    assert {"temperature", "top_p", "top_k"}.isdisjoint(written)
    assert written["tool_choice"] == {"type": "auto"}
    assert ignored(**asked, reasoning_effort="low") == ("tool_choice", "temperature", "top_p", "top_k")
    assert ignored("claude-opus-4-6", tools=[NOW], tool_choice="required", reasoning_effort="low") == ()


CALLED = {"role": "assistant", "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "now"}}]}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
DETAIL = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}


@pytest.mark.parametrize(
    "carried",
    [
        {"reasoning_details": [DETAIL]},
        {"reasoning_details": [{**DETAIL, "text": "H", "signature": None}, {**DETAIL, "text": "m."}]},
        {"thinking_blocks": [THOUGHT]},
        {"provider_specific_fields": {"thinking_blocks": [THOUGHT]}},
        {"reasoning_details": [{"type": "reasoning.text", "text": "unsigned"}], "thinking_blocks": [THOUGHT]},
    ],
)
def test_thinking_comes_back_first_and_unmodified(carried: dict[str, Any]) -> None:
    said = turns(USER, {**CALLED, "content": "Text", **carried}, {"role": "tool", "tool_call_id": "t1", "content": "1"})
    assert said[1]["content"][0] == THOUGHT
    assert [block["type"] for block in said[1]["content"]] == ["thinking", "text", "tool_use"]


def test_thinking_that_a_client_dropped_comes_from_the_gateways_memory() -> None:
    asked = call(asking(messages=[USER, CALLED, {"role": "tool", "tool_call_id": "t1", "content": "1"}]))
    kept = replace(asked, signatures={1: [DETAIL, {"type": "reasoning.encrypted", "data": "eA=="}]})
    request = PROVIDER.build_request(kept, Deployment("anthropic", SONNET, "https://host.invalid"))
    content = json.loads(request.body)["messages"][1]["content"]
    assert content[:2] == [THOUGHT, {"type": "redacted_thinking", "data": "eA=="}]
    assert PROVIDER.signs_reasoning(asked, Deployment("anthropic", SONNET, "https://host.invalid"))


def test_thinking_of_another_provider_is_not_sent_to_anthropic() -> None:
    foreign = {**DETAIL, "format": "google-gemini-v1"}
    said = turns(USER, {"role": "assistant", "content": "Text", "reasoning_details": [foreign]}, USER)
    assert said[1]["content"] == [{"type": "text", "text": "Text"}]


def test_a_turn_that_lost_its_thinking_goes_on_without_and_says_so() -> None:
    said = [USER, CALLED, {"role": "tool", "tool_call_id": "t1", "content": "1"}]
    assert "thinking" not in body(messages=said, reasoning_effort="low")
    assert ignored(messages=said, reasoning_effort="low") == ("reasoning_effort",)
    assert ignored("claude-opus-4-6", messages=said, reasoning_effort="low") == ()
    assert ignored(messages=[*said, USER], reasoning_effort="low") == ()
    kept = [USER, {**CALLED, "reasoning_details": [DETAIL]}, said[2], CALLED, said[2]]
    assert ignored(messages=kept, reasoning_effort="low") == ()


# Structure

DOG: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_both_meanings_of_structured_outputs_are_understood() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "dog", "schema": DOG}}
    format_ = {"type": "json_schema", "schema": {**DOG, "additionalProperties": False}}
    assert body(structured_outputs=True, response_format=wanted)["output_config"] == {"format": format_}
    assert body(structured_outputs={"json": DOG})["output_config"] == {"format": format_}
    assert ignored(structured_outputs={"json": DOG, "whitespace": " "}) == ("structured_outputs.whitespace",)
    assert ignored(structured_outputs={"regex": "a+"}) == ("structured_outputs",)


def test_a_schema_with_open_objects_is_answered_by_a_tool() -> None:
    free = {"type": "object", "properties": {"tags": {"type": "object", "additionalProperties": {"type": "string"}}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "tags", "schema": free}}
    written = body(response_format=wanted)
    assert written["tools"][0]["input_schema"] == free
    assert written["tool_choice"]["name"] == "respond_in_json"
    assert ignored("claude-opus-5-5", response_format=wanted) == ("response_format.json_schema.schema",)


# Replies


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        ("invented_later", "stop"),
    ],
)
def test_a_stop_reason_is_told_in_openais_words_and_in_its_own(native: str, reason: str) -> None:
    choice = reply({"type": "text", "text": "a"}, stop_reason=native)
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (reason, native)


def test_an_error_inside_a_200_is_an_error() -> None:
    with pytest.raises(ProviderOverloaded):
        PROVIDER.parse_completion({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    with pytest.raises(ProviderMalformed):
        PROVIDER.parse_completion(["nothing"])


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 9 + 8 > 10",
            ContextLengthExceeded,
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", ContentPolicyViolation),
        (400, "invalid_request_error", "Your credit balance is too low to access the API", ProviderAuth),
        (400, "invalid_request_error", "max_tokens: must be more than 0", ProviderBadRequest),
        (403, "permission_error", "Not for you", ProviderAuth),
        (413, "request_too_large", "Request exceeds the maximum size", ProviderBadRequest),
        (500, "api_error", "Internal server error", ProviderFailed),
        (529, "overloaded_error", "Overloaded", ProviderOverloaded),
        (504, "timeout_error", "Timed out", ProviderTimeout),
    ],
)
def test_a_refusal_is_classified(status: int, kind: str, message: str, expected: type[Exception]) -> None:
    error = PROVIDER.parse_error(status, {}, {"type": "error", "error": {"type": kind, "message": message}})
    assert type(error) is expected
    assert error.native_code == kind


def test_a_message_never_repeats_a_key() -> None:
    said: Any = {"type": "error", "error": {"type": "invalid_request_error", "message": "bad key-" + "a1" * 12}}
    assert PROVIDER.parse_error(400, {}, said).message == "bad [redacted]"


# Streams


def test_the_input_of_a_tool_that_never_streamed_is_told_at_its_end() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    events = [event("content_block_start", index=0, content_block=block), event("content_block_stop", index=0)]
    events += [event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 1})]
    (chunks,) = run(PROVIDER, [events])[-1:]
    told: list[Any] = [chunk for batch in run(PROVIDER, [events]) for chunk in batch]
    parts = [one["function"]["arguments"] for chunk in told[:2] for one in chunk["choices"][0]["delta"]["tool_calls"]]
    assert parts == ["", '{"a":1}']
    assert chunks[0]["choices"][0]["finish_reason"] == "tool_calls"


def test_counts_of_the_end_replace_those_of_the_beginning() -> None:
    events = [
        event(
            "message_start", message={"usage": {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4}}
        ),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7, "input_tokens": None}),
        event("message_stop"),
    ]
    usage = run(PROVIDER, [events])[-1][-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (13, 7, 20)


def test_a_message_that_stops_without_a_reason_is_a_cut() -> None:
    with pytest.raises(StreamCut):
        run(PROVIDER, [[event("message_start", message={}), event("message_stop")]])


@pytest.mark.parametrize("data", ["[1]", "{", "null"])
def test_an_event_that_is_no_object_is_malformed(data: str) -> None:
    with pytest.raises(ProviderMalformed):
        run(PROVIDER, [[StreamEvent("message", data)]])


# Models


@pytest.mark.parametrize(
    ("model", "thinking", "off", "samplers", "structured"),
    [
        ("claude-3-5-sonnet-20241022", "none", "omit", "both", False),
        ("claude-3-7-sonnet-20250219", "budget", "omit", "both", False),
        ("claude-sonnet-4-20250514", "budget", "omit", "both", False),
        ("claude-opus-4-1-20250805", "budget", "omit", "one", False),
        ("claude-haiku-4-5", "budget", "omit", "one", True),
        ("us.anthropic.claude-sonnet-4-6-v1:0", "either", "omit", "one", True),
        ("claude-opus-4.8", "adaptive", "omit", "none", True),
        ("claude-mythos-preview", "adaptive", "never", "none", True),
        ("claude-haiku-5-5", "adaptive", "disabled", "none", True),
        ("claude-opus-6", "adaptive", "never", "none", True),
    ],
)
def test_a_models_name_tells_its_generation(
    model: str, thinking: str, off: str, samplers: str, structured: bool
) -> None:
    found = capabilities_of(model)
    assert (found.thinking, found.thinking_off, found.samplers, found.structured_output) == (
        thinking,
        off,
        samplers,
        structured,
    )
