"""Requests to Gemini where the cases do not reach: models and their ways, media, schemas, and Google's own types."""

import json
from typing import Any

import pytest
from google.genai import types
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tests.providers.calls import BASE_URL, CASES, asking, call, sent
from tidegate.chat.request import build_chat_request
from tidegate.domain.call import Media
from tidegate.domain.deployment import Deployment
from tidegate.errors import InvalidRequest
from tidegate.providers.gemini import PROVIDER as GEMINI
from tidegate.providers.gemini import capabilities, media
from tidegate.providers.vertex import PROVIDER as VERTEX

EFFORT, TOKENS = ("reasoning_effort",), ("reasoning.max_tokens",)
SHOWN = {"includeThoughts": True}
FLASH, PRO, LITE = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SENTINEL = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


class Config(types.GenerationConfig):
    image_config: types.ImageConfig | None = None


class Request(BaseModel):
    """A whole body, of Google's own types, none of which allows a field that it does not know."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    generation_config: Config | None = None
    safety_settings: list[types.SafetySetting] | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    service_tier: types.ServiceTier | None = None


BODIES = [path for path in CASES.glob("*/*/sent.json") if path.parent.parent.name in ("gemini", "vertex")]


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_every_body_that_is_sent_is_of_googles_own_types(path: Any) -> None:
    body = json.loads(path.read_text()).get("body")
    if body is not None:
        assert all(parts["parts"] for parts in body["contents"])
        Request.model_validate(body)


@pytest.mark.parametrize("host", ["gemini", "vertex"])
def test_both_hosts_have_every_required_case(host: str) -> None:
    required = {"text", "stream", "tool_call", "stream_tool_call", "image", "length", "error"}
    assert {path.name for path in (CASES / host).iterdir()} >= required


@pytest.mark.parametrize(
    ("name", "wish", "thinking", "ignored"),
    [
        (FLASH, {"reasoning_effort": "none"}, {"thinkingBudget": 0}, ()),
        (PRO, {"reasoning_effort": "none"}, {"thinkingBudget": 128}, EFFORT),
        (LITE, {"reasoning": {"max_tokens": 100}}, {"thinkingBudget": 512, **SHOWN}, TOKENS),
        (LITE, {"reasoning": {"enabled": True}}, {"thinkingBudget": -1, **SHOWN}, ()),
        (FLASH, {"reasoning": {"max_tokens": 3000, "exclude": True}}, {"thinkingBudget": 3000}, ()),
        (PRO, {"reasoning_effort": "max"}, {"thinkingBudget": 32768, **SHOWN}, ()),
        (FLASH, {"thinking": {"type": "enabled", "budget_tokens": 9}}, {"thinkingBudget": 9, **SHOWN}, ()),
        ("gemini-3-pro", {"reasoning_effort": "medium"}, {"thinkingLevel": "high", **SHOWN}, EFFORT),
        ("gemini-3.1-pro-preview", {"reasoning_effort": "medium"}, {"thinkingLevel": "medium", **SHOWN}, ()),
        ("gemini-3.5-flash", {"reasoning_effort": "minimal"}, {"thinkingLevel": "minimal", **SHOWN}, ()),
        ("gemini-3.5-flash", {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}, EFFORT),
        ("gemini-3.8-flash", {"reasoning": {"max_tokens": 9000}}, {"thinkingLevel": "medium", **SHOWN}, TOKENS),
        ("gemini-4-argon", {"reasoning_effort": "xhigh"}, {"thinkingLevel": "high", **SHOWN}, EFFORT),
        ("gemini-flash-latest", {"reasoning": {"enabled": True}}, SHOWN, ()),
        ("gemini-2.0-flash", {"reasoning_effort": "low"}, None, EFFORT),
        ("gemini-2.0-flash", {"reasoning_effort": "none"}, None, ()),
        (FLASH, {}, None, ()),
    ],
)  # fmt: skip
def test_a_wish_to_reason_becomes_a_budget_or_a_level(name: str, wish: Any, thinking: Any, ignored: Any) -> None:
    body, reported = sent(GEMINI, asking(**wish), name)
    assert body.get("generationConfig", {}).get("thinkingConfig") == thinking
    assert reported == ignored


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("gemini-1.5-flash-002", (1, 5)),
        ("gemini-flash-1.5-8b", (1, 5)),
        ("models/gemini-2.5-pro-preview-05-06", (2, 5)),
        ("gemini-live-2.5-flash", (2, 5)),
        ("gemini-3-flash-preview", (3, 0)),
        ("gemini-10.2-flash", (10, 2)),
        ("gemini-pro", (1, 0)),
        ("gemini-pro-latest", (3, 99)),
        ("gemma-3-27b-it", (1, 5)),
        ("gemini-robotics-er-1.5-preview", (2, 5)),
    ],
)
def test_a_name_tells_the_generation(name: str, generation: tuple[int, int]) -> None:
    assert capabilities.capabilities_of(name).generation == generation


def test_what_gemini_4_refuses_or_ignores_is_reported() -> None:
    fields = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 1, "frequency_penalty": 0, "n": 2}
    body, ignored = sent(GEMINI, asking(**fields), "gemini-4-argon")
    assert "generationConfig" not in body
    assert ignored == ("temperature", "top_p", "presence_penalty", "n")
    body, ignored = sent(GEMINI, asking(**fields), "gemini-2.0-flash")
    config = {"temperature": 0.5, "topP": 0.9, "presencePenalty": 1, "candidateCount": 2}
    assert (body["generationConfig"], ignored) == (config, ())


def test_googles_own_fields_pass_and_openais_win_over_them() -> None:
    body, ignored = sent(
        GEMINI,
        asking(
            generation_config={"top_k": 5, "maxOutputTokens": 9, "response_logprobs": True},
            max_tokens=20,
            cachedContent="cachedContents/1",
            speech_config={"languageCode": "de-DE"},
            service_tier="default",
            labels={"a": "b"},
            unheard_of=1,
        ),
        FLASH,
    )
    assert body["generationConfig"] == {
        "topK": 5,
        "maxOutputTokens": 20,
        "responseLogprobs": True,
        "speechConfig": {"languageCode": "de-DE"},
    }
    assert (body["cachedContent"], body["serviceTier"]) == ("cachedContents/1", "standard")
    assert ignored == ("labels", "unheard_of")


def test_what_asks_for_nothing_is_not_reported() -> None:
    neutral = asking(n=1, store=False, logit_bias={}, logprobs=False, stop=[], tool_choice="auto", service_tier="auto")
    assert sent(GEMINI, neutral, FLASH) == ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, ())


def test_instructions_alone_are_said_by_the_user() -> None:
    body, _ = sent(GEMINI, {"model": "m", "messages": [{"role": "system", "content": "Greet me."}]}, FLASH)
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Greet me."}]}]}


def test_an_empty_turn_still_has_a_part() -> None:
    body, _ = sent(GEMINI, {"model": "m", "messages": [{"role": "user", "content": ""}]}, FLASH)
    assert body["contents"] == [{"role": "user", "parts": [{"text": " "}]}]


def _history(call_id: str, **assistant: Any) -> list[Any]:
    called = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [called], **assistant},
        {"role": "tool", "tool_call_id": call_id, "content": "[1]"},
    ]


def _replayed(provider: Any, name: str, messages: list[Any], **more: Any) -> list[Any]:
    asked = replace(call({"model": "m", "messages": messages}), **more)
    contents = _decoded(provider.build_request(asked, Deployment(provider.name, name, BASE_URL)))["contents"]
    for content in contents:
        types.Content.model_validate(content)
    return contents


def _decoded(request: Any) -> Any:
    return json.loads(request.body)


def test_a_signature_that_the_client_lost_comes_from_the_gateways_store() -> None:
    kept = [{"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1", "index": 1, "id": "c1"}]
    contents = _replayed(GEMINI, FLASH, _history("c1"), signatures={1: kept})
    assert contents[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}]


def test_a_signature_in_googles_own_place_is_taken() -> None:
    messages = _history("c1")
    messages[1]["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "c2ln"}}
    part = _replayed(GEMINI, "gemini-3.5-flash", messages)[1]["parts"][0]
    assert part == {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "c2ln"}


def test_a_signature_of_another_provider_is_not_googles() -> None:
    foreign = [{"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "id": "c1"}]
    messages = _history("c1", reasoning_details=foreign)
    assert _replayed(GEMINI, "gemini-3.5-flash", messages)[1]["parts"][0]["thoughtSignature"] == SENTINEL
    assert "thoughtSignature" not in _replayed(GEMINI, FLASH, messages)[1]["parts"][0]


def test_only_the_first_of_parallel_calls_needs_a_signature() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in "ab"]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": calls}]
    parts = _replayed(GEMINI, "gemini-3.5-flash", messages)[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [SENTINEL, None]


def test_parts_that_only_gemini_knows_go_back_as_they_came() -> None:
    native = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s"}, "thoughtSignature": "c2ln"}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes", "provider_parts": [native]},
        {"role": "user", "content": "Go on"},
    ]
    assert _replayed(GEMINI, "gemini-3.5-flash", messages)[1]["parts"] == [native, {"text": "Yes"}]


def test_an_image_that_the_model_drew_goes_back_with_its_signature() -> None:
    drawn = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAAN"}}
    signed = [{"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1", "id": "image_0"}]
    messages = [
        {"role": "user", "content": "Draw"},
        {"role": "assistant", "content": None, "images": [drawn], "reasoning_details": signed},
        {"role": "user", "content": "Bigger"},
    ]
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAAN"}, "thoughtSignature": "c2ln"}
    assert _replayed(GEMINI, "gemini-3.5-flash", messages)[1]["parts"] == [image]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([*_history("c1")[:2], {"role": "tool", "tool_call_id": "c2", "content": ""}], "messages[2].tool_call_id"),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}],
            "messages[0].content[0]",
        ),
        (
            [{"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "[]"}}],
            "messages[0].function_call.arguments",
        ),
        ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "messages[0].content[0].file"),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-abc"}}]}], "messages[0].content[0]"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}],
            "messages[0].content[0]",
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "midi"}}]}],
            "messages[0].content[0].input_audio.format",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_path(messages: list[Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(GEMINI, {"model": "m", "messages": messages}, FLASH)
    assert caught.value.param == param


def test_only_what_google_does_not_read_itself_is_fetched() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": url}}
        for url in (
            "https://pictures.invalid/a.png",
            "data:image/png;base64,iVBORw0KGgo=",
            "gs://bucket/a.png",
            "https://youtu.be/abc",
            "https://generativelanguage.googleapis.com/v1beta/files/abc-1",
            "files/abc-1",
        )
    ]
    parts.append({"type": "document", "source": {"type": "url", "url": "https://papers.invalid/b.pdf"}})
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    fetched = {
        "messages[0].content[0].image_url.url": "https://pictures.invalid/a.png",
        "messages[0].content[6].source.url": "https://papers.invalid/b.pdf",
    }
    assert dict(media.urls_to_fetch(build_chat_request(body).fields.messages)) == fetched
    assert GEMINI.media_urls(call(body), Deployment("gemini", FLASH, BASE_URL)) == fetched
    got = {
        "https://pictures.invalid/a.png": Media("application/octet-stream", b"\x89PNG\r\n\x1a\n"),
        "https://papers.invalid/b.pdf": Media("application/pdf; charset=x", b"%PD"),
    }
    request = GEMINI.build_request(replace(call(body), media=got), Deployment("gemini", FLASH, BASE_URL))
    assert _decoded(request)["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}},
        {"fileData": {"fileUri": "https://youtu.be/abc", "mimeType": "video/mp4"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-1"}},
        {"fileData": {"fileUri": "files/abc-1"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"text": " "},
    ]


def test_a_text_file_is_plain_text() -> None:
    file = {"type": "file", "file": {"file_data": "data:application/json,%7B%7D", "filename": "a.json"}}
    body, _ = sent(GEMINI, {"model": "m", "messages": [{"role": "user", "content": [file]}]}, FLASH)
    assert body["contents"][0]["parts"][0] == {"inlineData": {"mimeType": "text/plain", "data": "e30="}}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_a_choice_of_tools_has_its_mode(choice: Any, calling: Any) -> None:
    body, ignored = sent(GEMINI, asking(tools=[TOOL], tool_choice=choice), FLASH)
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    types.ToolConfig.model_validate(body["toolConfig"])
    assert ignored == ()


def test_tools_that_gemini_does_not_know_are_reported() -> None:
    tools = [{"type": "custom", "custom": {"name": "x"}}, {"type": "code_execution"}, {"type": "url_context"}]
    body, ignored = sent(GEMINI, asking(tools=tools, tool_choice="required", functions=[{"name": "g"}]), FLASH)
    assert body["tools"] == [{"codeExecution": {}}, {"urlContext": {}}]
    assert ignored == ("tools[0]", "tool_choice", "functions")


def _parameters(schema: Any) -> Any:
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}},
    }
    body, _ = sent(GEMINI, asking(tools=[tool]), "gemini-1.5-pro")
    (declared,) = body["tools"][0]["functionDeclarations"]
    types.Schema.model_validate(declared["parameters"])
    return declared["parameters"]["properties"]["a"]


@pytest.mark.parametrize(
    ("given", "converted"),
    [
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"const": "x"}, {"type": "STRING", "enum": ["x"]}),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "T"},
            {"title": "T", "type": "INTEGER", "nullable": True},
        ),
        ({"type": "array", "items": {"type": "number"}}, {"type": "ARRAY", "items": {"type": "NUMBER"}}),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 9}, {"type": "INTEGER", "maximum": 9}),
        ({"oneOf": [{"type": "string"}, {"type": "boolean"}]}, {"anyOf": [{"type": "STRING"}, {"type": "BOOLEAN"}]}),
    ],
)
def test_a_schema_for_an_old_model_is_the_openapi_subset(given: Any, converted: Any) -> None:
    assert _parameters(given) == converted


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"type": "array"}, ""),
        ({"allOf": [{"type": "string"}]}, ""),
        ({"enum": [1, 2]}, ""),
        ({"enum": []}, ".enum"),
        ({"type": "object", "properties": {"b": {"$ref": "#"}}}, ".properties.b.properties.a.properties.b"),
        ({"$ref": "#/$defs/none"}, ".$ref"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, ""),
        ({"type": "null"}, ""),
    ],
)
def test_a_schema_that_an_old_model_cannot_take_is_refused_with_its_path(given: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _parameters(given)
    assert caught.value.param == f"tools[0].function.parameters.properties.a{path}"


@pytest.mark.parametrize(
    ("model_name", "path"),
    [
        ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine"),
        ("a/../b?key=1", "/v1beta/models/a%2F..%2Fb%3Fkey%3D1"),
    ],
)
def test_a_model_stays_in_its_place_in_the_url(model_name: str, path: str) -> None:
    request = GEMINI.build_request(call(asking()), Deployment("gemini", model_name, "https://host.invalid/"))
    assert request.url == f"https://host.invalid{path}:generateContent"


def test_a_tuned_model_of_vertex_has_an_endpoint() -> None:
    deployment = Deployment(
        "vertex", "endpoints/12", "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global"
    )
    url = VERTEX.build_request(call(asking(stream=True)), deployment).url
    assert url == (
        "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global/endpoints/12"
        ":streamGenerateContent?alt=sse"
    )


@pytest.mark.parametrize(
    ("model", "choice", "mode", "ignored"),
    [
        ("gemini-2.5-flash", None, "VALIDATED", ()),
        ("gemini-3.5-flash", "auto", "VALIDATED", ()),
        ("gemini-3.5-flash", "required", "ANY", ()),
        ("gemini-3.5-flash", "none", "NONE", ()),
        ("gemini-2.0-flash", "required", "ANY", ()),
        ("gemini-2.0-flash", None, None, ("tools[0].function.strict",)),
    ],
)
def test_strict_functions_are_held_to_their_schemas(
    model: str, choice: Any, mode: str | None, ignored: tuple[str, ...]
) -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}
    body, reported = sent(GEMINI, asking(tools=[strict], tool_choice=choice), model)
    assert (body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode"), reported) == (mode, ignored)
