"""What Bedrock's models take and refuse, where a case would say too much."""

import json
from base64 import b64encode
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.assembling import read_chunks, run
from tests.providers.calls import asking, call
from tests.providers.converse import faults
from tidegate.domain.call import Media
from tidegate.domain.deployment import Deployment, ProviderConfig
from tidegate.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InvalidRequest,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderMalformed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    UpstreamError,
)
from tidegate.policy.routing.provider_config import load_provider_configs
from tidegate.providers import Registry
from tidegate.providers.anthropic import capabilities as anthropic_capabilities
from tidegate.providers.base import KeyAuth, SigV4Auth, StreamEvent, UpstreamRequest
from tidegate.providers.bedrock import PROVIDER, capabilities
from tidegate.providers.bedrock.schemas import restrict_schema
from tidegate.settings import EnvironmentSecrets

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_7 = "anthropic.claude-opus-4-7-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "cold"},
]


def build(body: dict[str, Any], model: str = CLAUDE, **more: Any) -> UpstreamRequest:
    deployment = Deployment("bedrock", model, "https://host.invalid", region="eu-1")
    return PROVIDER.build_request(replace(call(body), **more), deployment)


def sent(body: dict[str, Any], model: str = CLAUDE, **more: Any) -> Any:
    made = json.loads(build(body, model, **more).body)
    assert faults(made) == ""
    return made


def said(content: Any, **more: Any) -> Any:
    return sent({"model": "m", "messages": [{"role": "user", "content": content}]}, **more)["messages"][0]["content"]


def extra(model: str, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    request = build(asking(**fields), model)
    return json.loads(request.body).get("additionalModelRequestFields"), request.ignored


def test_the_functions_own_role_signs_unless_there_is_a_key() -> None:
    request = call(asking())
    place = Deployment("bedrock", CLAUDE, "https://host.invalid", region="eu-1")
    assert PROVIDER.build_request(request, place).auth == SigV4Auth("bedrock", "eu-1")
    assert PROVIDER.build_request(request, replace(place, secret="TOKEN")).auth == KeyAuth()


async def test_it_is_configured_where_the_process_has_credentials_and_a_region() -> None:
    async def found(**env: str) -> ProviderConfig:
        endpoint = (await load_provider_configs(Registry().specs(), EnvironmentSecrets(env)))["bedrock"]
        return replace(endpoint, regional_url=None)

    url = "https://bedrock-runtime.eu-1.amazonaws.com"
    assert await found(AWS_REGION="eu-1", AWS_ACCESS_KEY_ID="k") == ProviderConfig("bedrock", url, region="eu-1")
    token = await found(AWS_REGION="us-1", BEDROCK_REGION="eu-1", AWS_BEARER_TOKEN_BEDROCK="t")
    assert token == ProviderConfig("bedrock", url, "AWS_BEARER_TOKEN_BEDROCK", region="eu-1")
    assert (await found(AWS_REGION="eu-1")).missing_settings == ("AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID",)


@pytest.mark.parametrize("name", ["claude-3-7-sonnet-20250219", "claude-opus-4-1-20250805", "claude-sonnet-4-20250514"])
@pytest.mark.parametrize("spelling", ["{}", "us.anthropic.{}-v1:0", "arn:aws:bedrock:eu-1::foundation-model/{}-v1:0"])
def test_a_model_is_the_same_by_each_of_its_ids(name: str, spelling: str) -> None:
    assert capabilities.capabilities_of(spelling.format(f"anthropic.{name}")) == capabilities.capabilities_of(name)


CLAUDES = (
    *("claude-3-haiku-20240307", "claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"),
    *("claude-sonnet-4-20250514", "claude-opus-4-1-20250805", "claude-haiku-4-5-20251001", "claude-opus-4-6"),
    *("claude-sonnet-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-opus-5-5", "claude-fable-5"),
    *("claude-sonnet-5", "claude-haiku-5-5", "claude-mythos-5-2"),
)


@pytest.mark.parametrize("name", CLAUDES)
def test_a_claude_can_do_on_bedrock_what_it_can_at_its_maker(name: str) -> None:
    ours, theirs = (
        capabilities.capabilities_of(f"global.anthropic.{name}-v1:0"),
        anthropic_capabilities.capabilities_of(name),
    )
    assert (ours.thinking, ours.efforts, ours.samplers) == (theirs.thinking, theirs.efforts, theirs.samplers)
    assert (bool(ours.tool_choices), ours.structured_output) == (theirs.can_force_tools, theirs.structured_output)


@pytest.mark.parametrize(
    ("model", "fields", "expected", "ignored"),
    [
        (CLAUDE, {"reasoning_effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 16384}}, ()),
        (CLAUDE, {"reasoning": {"max_tokens": 500}}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ("b",)),
        (CLAUDE, {"reasoning_effort": "high", "max_tokens": 1024}, None, ("reasoning_effort",)),
        (CLAUDE, {"reasoning_effort": "none"}, None, ()),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"reasoning_effort": "low"}, None, ("reasoning_effort",)),
        (
            "anthropic.claude-sonnet-4-6",
            {"reasoning_effort": "low"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            (),
        ),
        (
            OPUS_4_7,
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
            ("reasoning_effort",),
        ),
        ("anthropic.claude-opus-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ()),
        ("anthropic.claude-fable-5-v1:0", {"reasoning_effort": "none"}, None, ("reasoning_effort",)),
        (
            NOVA,
            {"reasoning_effort": "high"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            (),
        ),
        (NOVA, {"reasoning_effort": "none"}, {"reasoningConfig": {"type": "disabled"}}, ()),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}, ()),
        ("us.openai.gpt-6-sol", {"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}, ()),
        ("qwen.qwen3-32b-v1:0", {"reasoning_effort": "max"}, {"reasoning_config": "high"}, ("reasoning_effort",)),
        ("us.deepseek.r1-v1:0", {"reasoning": {"enabled": True}}, None, ()),
        ("mistral.mistral-large-2402-v1:0", {"top_k": 9}, {"top_k": 9}, ()),
        ("us.meta.llama3-3-70b-instruct-v1:0", {"top_k": 9}, None, ("top_k",)),
        (CLAUDE, {"anthropic_beta": ["x-1"]}, {"anthropic_beta": ["x-1"]}, ()),
        (NOVA, {"anthropic_beta": ["x-1"]}, None, ("anthropic_beta",)),
        (
            NOVA,
            {"additionalModelRequestFields": {"inferenceConfig": {"topK": 2}}},
            {"inferenceConfig": {"topK": 2}},
            (),
        ),
    ],
)
def test_each_family_is_asked_in_its_own_words(
    model: str, fields: dict[str, Any], expected: Any, ignored: tuple[str, ...]
) -> None:
    assert extra(model, **fields) == (expected, ("reasoning.max_tokens",) if ignored == ("b",) else ignored)


def test_nova_at_its_most_samples_alone() -> None:
    request = build(asking(reasoning_effort="high", temperature=0.2, top_p=0.5), NOVA)
    assert "inferenceConfig" not in json.loads(request.body)
    assert request.ignored == ("temperature", "top_p")


def test_a_temperature_beyond_converses_range_is_reported_and_never_clamped() -> None:
    request = build(asking(temperature=1.5), NOVA)
    assert ("inferenceConfig" not in json.loads(request.body), request.ignored) == (True, ("temperature",))


def test_thinking_is_left_out_where_its_signature_is_lost_and_kept_where_the_gateway_kept_it() -> None:
    body = asking(messages=CALLED, tools=[WEATHER], reasoning_effort="low")
    assert build(body).ignored == ("reasoning_effort",)
    kept = [{"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    made = sent(body, signatures={1: kept})
    assert made["messages"][1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}
    }
    assert made["additionalModelRequestFields"]["thinking"]["type"] == "enabled"


def test_reasoning_that_another_provider_signed_is_not_sent() -> None:
    foreign = [{"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}]
    turn = {"role": "assistant", "content": "Hi", "reasoning_details": foreign}
    messages = [{"role": "user", "content": "Hi"}, turn, {"role": "user", "content": "?"}]
    assert sent(asking(messages=messages))["messages"][1] == {"role": "assistant", "content": [{"text": "Hi"}]}


def test_reasoning_comes_back_as_it_was_given() -> None:
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "One.", "signature": "s1"}}},
        {"reasoningContent": {"redactedContent": b64encode(b"EtkE").decode()}},
        {"reasoningContent": {"redactedContent": b64encode(b"\xff\x00").decode()}},
        {"reasoningContent": {"reasoningText": {"text": "Two.", "signature": "s2"}}},
    ]
    use = {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {}}}
    reply = PROVIDER.parse_completion(
        {"output": {"message": {"role": "assistant", "content": [*blocks, use]}}, "stopReason": "tool_use"}
    )
    turn = {name: value for name, value in reply["choices"][0]["message"].items() if value is not None}
    messages = [CALLED[0], turn, CALLED[2]]
    assert sent(asking(messages=messages, tools=[WEATHER]))["messages"][1]["content"] == [*blocks, use]


def test_media_are_named_for_the_gateway_and_found_again() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "https://host.invalid/a.png"}},
        {"type": "file", "file": {"file_data": "https://host.invalid/b.md?x=1"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/c.webp"}},
    ]
    body = asking(messages=[{"role": "user", "content": parts}])
    assert PROVIDER.media_urls(call(body), Deployment("bedrock", CLAUDE, "")) == {
        "messages[0].content[0].image_url.url": "https://host.invalid/a.png",
        "messages[0].content[1].file.file_data": "https://host.invalid/b.md?x=1",
    }
    media = {
        "https://host.invalid/a.png": Media("text/html", PNG),
        "https://host.invalid/b.md?x=1": Media("text/plain", b"# Hi"),
    }
    assert said(parts, media=media) == [
        {"image": {"format": "png", "source": {"bytes": b64encode(PNG).decode()}}},
        {"document": {"format": "md", "name": "Document", "source": {"bytes": b64encode(b"# Hi").decode()}}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/c.webp"}}}},
        {"text": "See the attached document."},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"audio": {"format": "wav", "source": {"bytes": "aGk="}}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/quicktime;base64,aGk="}},
            {"video": {"format": "mov", "source": {"bytes": "aGk="}}},
        ),
        (
            {"type": "document", "source": {"type": "text", "data": "Hi"}, "citations": {"enabled": True}},
            {
                "document": {
                    "format": "txt",
                    "name": "Document",
                    "source": {"text": "Hi"},
                    "citations": {"enabled": True},
                }
            },
        ),
    ],
)
def test_a_part_becomes_a_block(part: Any, block: Any) -> None:
    assert said([part, {"type": "text", "text": "?"}]) == [block, {"text": "?"}]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk0="}}, "does not support this media type"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,???"}}, "must be a URL"),
        ({"type": "image_url", "image_url": {"url": "https://host.invalid/a.png"}}, "did not fetch"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "does not store files"),
        ({"type": "input_audio", "input_audio": {"data": "*", "format": "wav"}}, "must be a URL"),
    ],
)
def test_a_part_that_cannot_be_sent_is_named(part: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        said([{"type": "text", "text": "Hi"}, part])
    assert caught.value.param == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "system", "content": "Hi"}]}, "messages"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        (
            {
                "messages": [
                    {
                        "role": "system",
                        "content": [{"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh"}}],
                    }
                ]
            },
            "messages[0].content",
        ),
    ],
)
def test_what_cannot_be_said_is_a_bad_request(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(asking(**body))
    assert caught.value.param == param


def test_an_assistants_message_at_the_end_goes_on_without_blanks_or_not_at_all() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, \n"}]
    assert sent(asking(messages=messages))["messages"][1]["content"] == [{"text": "Hello,"}]
    with pytest.raises(InvalidRequest) as caught:
        build(asking(messages=messages), OPUS_4_7)
    assert caught.value.param == "messages[1]"


def test_names_that_converse_forbids_are_spelt_otherwise_and_given_back() -> None:
    names = ["a.b", "a b", "x" * 65, "plain-name_1"]
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    choice = {"type": "function", "function": {"name": "a.b"}}
    request = build(asking(tools=tools, tool_choice=choice))
    config = json.loads(request.body)["toolConfig"]
    spelt = [tool["toolSpec"]["name"] for tool in config["tools"]]
    assert faults(json.loads(request.body)) == ""
    assert [request.caller_tool_names.get(name, name) for name in spelt] == names
    assert config["toolChoice"] == {"tool": {"name": spelt[0]}}
    assert len(set(spelt)) == 4


def test_where_no_certain_tool_can_be_forced_it_is_the_only_one() -> None:
    tools = [WEATHER, {"type": "function", "function": {"name": "other"}}]
    choice = {"type": "function", "function": {"name": "other"}}
    config = sent(asking(tools=tools, tool_choice=choice), "mistral.mistral-large-2402-v1:0")["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["other"]
    assert config["toolChoice"] == {"any": {}}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "weather", "schema": {"type": "object", "properties": {}}}}


def test_an_answer_by_a_tool_leaves_the_callers_tools_their_names() -> None:
    request = build(asking(tools=[WEATHER], response_format=SCHEMA), "amazon.nova-lite-v1:0")
    config = json.loads(request.body)["toolConfig"]
    assert request.answer_tool == "weather_2"
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["weather", "weather_2"]
    assert config["toolChoice"] == {"any": {}}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("us.meta.llama3-3-70b-instruct-v1:0", {"response_format": SCHEMA}),
        (NOVA, {"response_format": {"type": "json_object"}}),
    ],
)
def test_a_form_that_cannot_be_promised_is_reported(model: str, fields: Any) -> None:
    assert build(asking(**fields), model).ignored == ("response_format",)


def test_a_schema_is_closed_and_its_constraints_are_told() -> None:
    schema: Any = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "description": "The least."},
            "list": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "object"}]}, "maxItems": 3},
        },
    }
    before = json.dumps(schema)
    assert restrict_schema(schema) == (
        {
            "type": "object",
            "properties": {
                "minimum": {"type": "integer", "description": "The least.; minimum: 1"},
                "list": {
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": False}]},
                    "description": "maxItems: 3",
                },
            },
            "additionalProperties": False,
        },
        True,
    )
    assert json.dumps(schema) == before
    assert restrict_schema({"type": "object", "additionalProperties": False})[1] is False


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "ValidationException", "Malformed input request", ProviderBadRequest),
        (400, "ValidationException", "prompt is too long: 9 tokens > 8 maximum", ContextLengthExceeded),
        (400, "ValidationException", "Output blocked by content filtering policy", ContentPolicyViolation),
        (400, "ValidationException", "The provided model identifier is invalid.", ProviderModelNotFound),
        (404, "ResourceNotFoundException", "Legacy model", ProviderModelNotFound),
        (403, "AccessDeniedException", "You don't have access", ProviderAuth),
        (403, "InvalidSignatureException", "The Canonical String was …", ProviderAuth),
        (429, "ThrottlingException", "Too many requests", ProviderRateLimited),
        (400, "ServiceQuotaExceededException", "Too many tokens per day", ProviderRateLimited),
        (429, "ModelNotReadyException", "Not ready", ProviderOverloaded),
        (408, "ModelTimeoutException", "Timed out", ProviderTimeout),
        (424, "ModelErrorException", "The model failed", ProviderFailed),
        (500, "InternalServerException", "Oh", ProviderFailed),
        (503, "ServiceUnavailableException", "Busy", ProviderOverloaded),
        (503, "", "", ProviderOverloaded),
        (418, "", "", ProviderBadRequest),
    ],
)
def test_a_refusal_is_classified_wherever_its_code_is(
    status: int, code: str, message: str, kind: type[UpstreamError]
) -> None:
    by_header = PROVIDER.parse_error(status, {"x-amzn-errortype": f"{code}:http://x/"}, {"message": message})
    by_body = PROVIDER.parse_error(status, {}, {"__type": f"com.amazon#{code}", "Message": message})
    assert (type(by_header), type(by_body)) == (kind, kind)
    assert by_header.native_code == (code or None)


def test_no_message_names_an_account() -> None:
    said = "arn:aws:bedrock:eu-1:123456789012:inference-profile/x in account 123456789012 is not ready"
    error = PROVIDER.parse_error(400, {"x-amzn-errortype": "ValidationException"}, {"message": said})
    assert error.message == "[redacted] in account [redacted] is not ready"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"message": "slow", "originalStatusCode": 429}, ProviderRateLimited),
        ({"message": "x", "originalMessage": "Input is too long"}, ProviderFailed),
        ({"message": "Input is too long", "originalStatusCode": 400}, ContextLengthExceeded),
    ],
)
def test_a_models_own_failure_inside_a_stream_is_classified(body: Any, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        run(PROVIDER, [[StreamEvent("exception:modelStreamErrorException", json.dumps(body).encode())]])


@pytest.mark.parametrize(
    "events",
    [
        [StreamEvent("contentBlockDelta", b"{")],
        [StreamEvent("messageStop", b'{"stopReason": "malformed_model_output"}')],
    ],
)
def test_a_stream_that_is_no_converse_is_malformed(events: list[StreamEvent]) -> None:
    with pytest.raises(ProviderMalformed):
        run(PROVIDER, [events])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("contentBlockDelta", b'{"delta": 1}'),
        ("contentBlockDelta", b'{"contentBlockIndex": 1, "delta": {"toolUse": {"input": "x"}}}'),
        ("contentBlockStart", b'{"contentBlockIndex": [], "start": {"toolUse": {"toolUseId": "x"}}}'),
        ("metadata", b'{"usage": 1}'),
        ("novel", b"{}"),
    ],
)
def test_an_event_without_anything_usable_is_skipped(kind: str, data: bytes) -> None:
    said = StreamEvent("contentBlockDelta", b'{"contentBlockIndex": 0, "delta": {"text": "Hi"}}')
    end = StreamEvent("messageStop", b'{"stopReason":"end_turn"}')
    chunks = [chunk for batch in run(PROVIDER, [[said, StreamEvent(kind, data), end]]) for chunk in batch]
    assert (read_chunks(chunks).voices[0].text, read_chunks(chunks).voices[0].ended) == ("Hi", "stop")


@pytest.mark.parametrize("body", [{"output": {}}, {"output": {"message": {"content": [1]}}}])
def test_a_reply_that_is_no_converse_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        PROVIDER.parse_completion(body)


def test_a_stream_without_a_word_still_says_its_role() -> None:
    events = [
        StreamEvent("messageStart", b'{"role":"assistant"}'),
        StreamEvent("messageStop", b'{"stopReason":"end_turn"}'),
    ]
    chunks: list[Any] = [chunk for batch in run(PROVIDER, [events]) for chunk in batch]
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"role": "assistant", "content": ""}, {}]


def test_the_callers_request_stays_as_it_was() -> None:
    body = asking(
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A "}],
        tools=[WEATHER],
        response_format=SCHEMA,
        metadata={"a": "b"},
    )
    before = json.dumps(body)
    build(body)
    assert json.dumps(body) == before


def test_a_turn_that_is_to_go_on_without_its_reasoning_gets_none() -> None:
    begun = asking(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "The answer is "}])
    assert "additionalModelRequestFields" not in sent(begun | {"reasoning_effort": "high"})
    assert build(begun | {"reasoning_effort": "high"}).ignored == ("reasoning_effort",)


@pytest.mark.parametrize(("native", "ours"), [("refusal", "content_filter"), ("pause_turn", "length")])
def test_claudes_own_ends_mean_what_they_mean_at_anthropic(native: str, ours: str) -> None:
    body: Any = {"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": native}
    (choice,) = PROVIDER.parse_completion(body)["choices"]
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (ours, native)
