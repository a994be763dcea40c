"""Requests that nobody would write: they are translated or refused, and nothing else."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.chat.operation import CHAT
from tidegate.errors import InvalidRequest
from tidegate.surfaces.late_dialects import RESPONSES

_KINDS = (
    *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
    *("local_shell_call", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"),
    *("tool_search_call", "tool_search_output", "agent_message", "additional_tools", "configuration_update"),
    *("compaction", "compaction_trigger", "item_reference", "web_search_call", "brand_new"),
    *("function", "custom", "namespace", "web_search", "input_text", "input_image", "input_file", "output_text"),
    *("grammar", "json_schema", "allowed_tools", "exec", "url_citation"),
)
_NAMES = (
    *("type", "id", "role", "content", "text", "name", "namespace", "arguments", "input", "output", "call_id", "tools"),
    *(
        "action",
        "operation",
        "summary",
        "encrypted_content",
        "image_url",
        "file_url",
        "format",
        "definition",
        "command",
    ),
    *("commands", "reasoning", "effort", "detail", "outcome", "parameters", "execution", "stdout", "mode", "schema"),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["", "c1", "user", "assistant", *_KINDS])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)),
    max_leaves=12,
)
_typed = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(_KINDS),
    st.dictionaries(st.sampled_from(_NAMES), _values, max_size=6),
)
_fields = st.sampled_from(
    [
        "instructions",
        "tools",
        "tool_choice",
        "reasoning",
        "text",
        "include",
        "store",
        "conversation",
        "metadata",
        "truncation",
    ]
)


@settings(max_examples=300)
@given(
    st.one_of(_values, st.lists(st.one_of(_typed, _values), max_size=4)),
    st.dictionaries(_fields, st.one_of(_values, st.lists(_typed, max_size=3)), max_size=4),
)
def test_any_request_is_translated_or_refused(items: Any, fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", **fields, "input": items}).encode()
    with suppress(InvalidRequest):
        request: Any = RESPONSES.parse(CHAT, body)
        stream = RESPONSES.open_stream(request)
        chunk = {"id": "resp_1", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
        assert b"response.completed" in stream.events([chunk]) + stream.end()
        request.origin.make_portable(request.body)
