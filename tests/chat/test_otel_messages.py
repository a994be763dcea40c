"""The content of chats as OpenTelemetry's messages: roles, parts, and what is left out."""

import json
from typing import Any

import pytest

from tidegate.chat.otel_messages import MAX_CHARACTERS, content_attributes

IMAGE = "data:image/png;base64,iVBORw0KGgo="


def found(request: Any, answer: Any = None) -> dict[str, Any]:
    """The attributes, with their JSON read."""
    attributes = content_attributes(
        json.dumps(request).encode(), b"" if answer is None else json.dumps(answer).encode()
    )
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in attributes.items()}


def test_messages_have_roles_and_parts() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "name": "ada", "content": "Weather?"},
        {"role": "assistant", "content": None, "reasoning": "Ask the tool.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rainy"},
    ]
    assert found({"messages": messages}) == {
        "gen_ai.input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}], "name": "ada"},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Ask the tool."},
                    {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Paris"}},
                ],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "rainy", "id": "call_1"}]},
        ]
    }


def test_media_are_named_and_their_bytes_left_out() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": IMAGE}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": IMAGE}},
        {"type": "unknown", "value": 1},
    ]
    [message] = found({"messages": [{"role": "user", "content": content}]})["gen_ai.input.messages"]
    assert message["parts"] == [
        {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
        {"type": "blob", "modality": "image", "content": ""},
        {"type": "blob", "modality": "audio", "content": ""},
        {"type": "file", "modality": "document", "file_id": "file-1"},
        {"type": "blob", "modality": "document", "content": ""},
        {"type": "unknown"},
    ]


def test_each_choice_is_an_output_message_with_its_finish_reason() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{"}}
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": "Rainy."}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"},
        {"index": 2, "message": {"role": "assistant", "refusal": "No."}, "finish_reason": None},
    ]
    assert found({}, {"choices": choices}) == {
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Rainy."}], "finish_reason": "stop"},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": "{"}],
                "finish_reason": "tool_call",
            },
            {"role": "assistant", "parts": [{"type": "refusal", "content": "No."}], "finish_reason": "error"},
        ]
    }


def test_tools_are_named_without_their_schemas() -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"a": 1}}}, {"type": "web_search"}]
    assert found({"tools": tools, "stop": "END"}) == {
        "gen_ai.tool.definitions": [
            {"type": "function", "name": "weather"},
            {"type": "web_search", "name": "web_search"},
        ],
        "gen_ai.request.stop_sequences": ["END"],
    }


def test_what_is_too_long_for_a_span_is_named() -> None:
    messages = [{"role": "user", "content": "x" * MAX_CHARACTERS}]
    answer = {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}
    attributes = found({"messages": messages}, answer)
    assert attributes.keys() == {"gen_ai.output.messages", "tidegate.content.omitted"}
    assert attributes["tidegate.content.omitted"] == ["gen_ai.input.messages"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"messages": 1, "choices": {}, "tools": null, "stop": [1]}']
)
def test_what_is_no_chat_has_no_attributes(content: bytes) -> None:
    assert content_attributes(content, content) == {}
