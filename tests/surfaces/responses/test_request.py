"""Requests of the Responses API as chat requests."""

import json
from typing import Any

import pytest

from tidegate.chat.operation import CHAT
from tidegate.errors import InvalidRequest
from tidegate.surfaces import sealed_details
from tidegate.surfaces.late_dialects import RESPONSES

CALL = {"type": "function_call", "call_id": "c1", "name": "get", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}


def parsed(items: Any = "Hi", **fields: Any) -> Any:
    body = {"model": "openai/gpt-5", "input": items, **fields}
    return RESPONSES.parse(CHAT, json.dumps(body).encode())


def messages(*items: Any, **fields: Any) -> Any:
    return parsed([*items], **fields).body["messages"]


def user(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [*parts]}


def refused(*items: Any, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        parsed([*items], **fields)
    return raised.value


def test_a_text_and_instructions_are_messages() -> None:
    assert parsed("Hi", instructions="Be brief.").body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_every_kind_of_part_has_its_place() -> None:
    found = messages(
        user(
            {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
            {"type": "input_image", "file_id": "file_1", "detail": "auto"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
            {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        )
    )
    assert found[0]["content"] == [
        {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
        {"type": "file", "file": {"file_id": "file_1", "filename": "image.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
    ]


def test_calls_of_one_turn_are_one_message_with_its_reasoning() -> None:
    """Pitfalls 43 and 45."""
    details = [{"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    found = messages(
        user({"type": "input_text", "text": "Go"}),
        {**reasoning, "encrypted_content": sealed_details.pack([*details])},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        CALL,
        {**CALL, "call_id": "c2"},
        RESULT,
        {**RESULT, "call_id": "c2"},
    )
    function = {"name": "get", "arguments": "{}"}
    assert found[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning": "Hm",
            "reasoning_details": details,
            "tool_calls": [{"id": call_id, "type": "function", "function": function} for call_id in ("c1", "c2")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        {"role": "tool", "tool_call_id": "c2", "content": "ok"},
    ]


def test_results_follow_their_calls_whatever_stands_between() -> None:
    steering = user({"type": "input_text", "text": "Wait"})
    roles = [
        message["role"]
        for message in messages(CALL, {**CALL, "call_id": "c2"}, RESULT, steering, {**RESULT, "call_id": "c2"})
    ]
    assert roles == ["assistant", "tool", "tool", "user"]


def test_an_id_may_come_again_in_a_later_turn() -> None:
    assert [message["role"] for message in messages(CALL, RESULT, CALL, RESULT)] == ["assistant", "tool"] * 2


def test_images_in_results_follow_all_results() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    found = messages(CALL, {**RESULT, "output": [{"type": "input_text", "text": "Here"}, image]})
    assert [message["role"] for message in found] == ["assistant", "tool", "user"]
    assert found[2]["content"][1]["image_url"] == {"url": "data:image/png;base64,AA=="}


def test_a_result_without_its_call_is_refused_in_openais_words() -> None:
    """Pitfall 57: the caller has cut the call off."""
    error = refused(RESULT)
    assert (error.param, error.message) == (
        "input",
        "No tool call found for function call output with call_id c1.",
    )


def test_a_call_without_its_result_is_refused_in_openais_words() -> None:
    assert refused(CALL).message == "No tool output found for function call c1."


def test_reasoning_of_another_maker_is_left_out_and_named() -> None:
    request = parsed(
        [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}, user({"type": "input_text", "text": "Hi"})]
    )
    assert (request.body["messages"], request.origin.ignored) == ([{"role": "user", "content": "Hi"}], ("input[0]",))
    assert request.origin.body["input"][0]["encrypted_content"] == "gAAAA"


def test_reasoning_of_another_provider_does_not_reach_openai() -> None:
    own = {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": sealed_details.pack([{"type": "reasoning.text", "text": "x"}]),
    }
    assert [
        item["type"] for item in parsed([own, user({"type": "input_text", "text": "Hi"})]).origin.body["input"]
    ] == ["message"]


@pytest.mark.parametrize(
    ("item", "result", "arguments", "content"),
    [
        (
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done"},
            {"input": "*** Begin"},
            "Done",
        ),
        (
            {"type": "local_shell_call", "call_id": "c1", "action": {"type": "exec", "command": ["ls"], "env": {}}},
            {"type": "local_shell_call_output", "id": "c1", "output": "a.txt"},
            {"command": ["ls"], "env": {}},
            "a.txt",
        ),
        (
            {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"]}},
            {
                "type": "shell_call_output",
                "call_id": "c1",
                "output": [{"stdout": "a\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            {"commands": ["ls"]},
            "a\n(exit code 1)",
        ),
        (
            {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "No such file"},
            {"type": "delete_file", "path": "a"},
            "failed\nNo such file",
        ),
        (
            {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "mail"}},
            {"type": "tool_search_output", "call_id": "c1", "tools": [{"type": "function", "name": "send"}]},
            {"query": "mail"},
            "These tools are available now: send.",
        ),
    ],
)
def test_calls_of_other_tools_are_calls_of_functions(item: Any, result: Any, arguments: Any, content: str) -> None:
    assistant, tool = messages(item, result)
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == arguments
    assert tool["content"] == content


def test_tools_are_functions_and_their_names_lead_back() -> None:
    """Pitfalls 46 and 48: no tool is filtered out, and no name of a namespace stays."""
    request = parsed(
        tools=[
            {
                "type": "function",
                "name": "get",
                "parameters": {"type": "object"},
                "strict": True,
                "description": "Get.",
            },
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
            },
            {"type": "namespace", "name": "git", "tools": [{"type": "function", "name": "log"}]},
            {"type": "namespace", "name": "functions", "tools": [{"type": "function", "name": "exec"}]},
            {"type": "local_shell"},
            {"type": "web_search", "search_context_size": "low"},
            {"type": "file_search", "vector_store_ids": ["v"]},
            {"type": "mcp", "server_label": "m"},
        ]
    )
    functions = [tool["function"] for tool in request.body["tools"] if tool["type"] == "function"]
    assert [function["name"] for function in functions] == ["get", "patch", "git__log", "exec", "local_shell"]
    assert functions[0] == {
        "name": "get",
        "description": "Get.",
        "parameters": {"type": "object"},
        "strict": True,
    }
    assert "start: x" in functions[1]["description"]
    assert request.body["tools"][-1] == {"type": "web_search", "search_context_size": "low"}
    assert request.origin.ignored == ("tools[6]", "tools[7]")


def test_equal_names_in_two_namespaces_stay_apart() -> None:
    tools = [{"type": "custom", "name": "run"}, {"type": "function", "name": "run"}]
    request = parsed(tools=tools)
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["run", "run_2"]
    assert request.origin.notes.names.target("run_2").type == "function_call"


@pytest.mark.parametrize(
    ("choice", "expected", "offered"),
    [
        ("required", "required", 2),
        ({"type": "function", "name": "get"}, {"type": "function", "function": {"name": "get"}}, 2),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}, 2),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get"}]}, "required", 1),
    ],
)
def test_a_choice_is_one_of_functions(choice: Any, expected: Any, offered: int) -> None:
    request = parsed(
        tools=[{"type": "function", "name": "get"}, {"type": "custom", "name": "patch"}], tool_choice=choice
    )
    assert (request.body["tool_choice"], len(request.body["tools"])) == (expected, offered)


def test_what_new_clients_send_is_understood() -> None:
    """Pitfall 49."""
    request = parsed(
        [
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]},
            {
                "type": "agent_message",
                "author": "/root",
                "recipient": "/root/worker",
                "content": [
                    {"type": "input_text", "text": "Go"},
                    {"type": "encrypted_content", "encrypted_content": "x"},
                ],
            },
            {"type": "configuration_update", "reasoning": {"effort": "high"}},
            {"type": "brand_new", "id": "n_1"},
        ],
        client_metadata={"a": "b"},
    )
    assert request.body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Message from /root to /root/worker:"},
                {"type": "text", "text": "Go"},
            ],
        }
    ]
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["exec"]
    assert request.body["reasoning"] == {"effort": "high"}
    assert request.origin.ignored == ("input[1].content[1]", "input[3]")


def test_fields_have_their_names_of_chat_completions() -> None:
    """Pitfall 58: the effort is a text of its own for providers that want it so."""
    schema = {"type": "object", "properties": {}}
    request = parsed(
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}, "verbosity": "low"},
        max_output_tokens=99,
        include=["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"],
        top_logprobs=2,
        truncation="auto",
        prompt_cache_key="k",
        store=False,
        stream_options={"include_obfuscation": False},
    )
    body = {name: value for name, value in request.body.items() if name not in ("messages", "model")}
    assert body == {
        "reasoning": {"effort": "low", "summary": "auto"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}},
        "verbosity": "low",
        "max_completion_tokens": 99,
        "logprobs": True,
        "top_logprobs": 2,
        "prompt_cache_key": "k",
    }
    assert (request.reasoning.effort, request.session_id) == ("low", "k")
    assert request.origin.ignored == ("include[2]", "truncation")


def test_a_wish_for_summaries_does_not_ask_for_reasoning() -> None:
    assert parsed(reasoning={"effort": None, "summary": "auto"}).reasoning is None


def test_a_search_without_the_live_web_is_left_out_where_there_is_only_that() -> None:
    request = parsed(tools=[{"type": "web_search", "external_web_access": False}], tool_choice="auto")
    assert request.body["tools"] == [{"type": "web_search", "external_web_access": False}]
    body, ignored = request.origin.make_portable(request.body)
    assert ("tools" in body, "tool_choice" in body, ignored) == (False, False, ("tools.web_search",))


@pytest.mark.parametrize("kind", ["compaction", "compaction_trigger"])
def test_another_makers_summary_is_refused_where_it_cannot_be_read(kind: str) -> None:
    request = parsed([{"type": kind, "encrypted_content": "gAAAA"}, user({"type": "input_text", "text": "Hi"})])
    with pytest.raises(InvalidRequest, match=r"input\[0\]"):
        request.origin.check_translatable()


def test_a_search_of_tools_by_openai_itself_is_left_out_and_its_tools_are_offered() -> None:
    found: Any = {"type": "function", "name": "ship", "parameters": {"type": "object", "properties": {}}}
    search = {"type": "tool_search_call", "execution": "server", "call_id": None, "arguments": {"paths": ["crm"]}}
    output = {"type": "tool_search_output", "execution": "server", "call_id": None, "tools": [found]}
    call = {**CALL, "name": "ship"}
    request = parsed([user({"type": "input_text", "text": "Go"}), search, output, call, RESULT])
    assert [message["role"] for message in request.body["messages"]] == ["user", "assistant", "tool"]
    assert request.body["tools"][0]["function"]["name"] == "ship"
    assert request.origin.ignored == ("input[1]", "input[2]")
    assert parsed([{"type": "tool_search_output", "id": "tso_1", "tools": []}]).origin.refusals


@pytest.mark.parametrize("fields", [{}, {"instructions": "Be brief."}])
@pytest.mark.parametrize(
    "item",
    [
        {"type": "compaction_trigger"},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "new_in_2030"},
    ],
)
def test_an_input_of_what_only_openai_reads_is_refused_in_translation_alone(item: Any, fields: Any) -> None:
    request = parsed([item], **fields)
    assert request.origin.body["input"] == [item]
    with pytest.raises(InvalidRequest) as raised:
        request.origin.check_translatable()
    assert (raised.value.param or "").startswith("input")


def test_a_role_of_newer_clients_goes_on_as_it_is_and_is_refused_in_translation() -> None:
    request = parsed([{"type": "message", "role": "critic", "content": "No."}])
    assert request.origin.refusals.keys() == {"input[0].role"}
    assert request.body["messages"] == [{"role": "user", "content": "No."}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["text"]}, "input[0]"),
        ({"input": [{"type": "message", "role": 7, "content": ""}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "a", "arguments": ""}]}, "input[0].call_id"),
        ({"input": "Hi", "temperature": 9}, "temperature"),
        ({"input": "Hi", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "Hi", "text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"input": "Hi", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
        ({"input": "Hi", "background": True}, "background"),
    ],
)
def test_bad_requests_are_refused_by_the_callers_own_paths(fields: Any, param: str) -> None:
    """Pitfalls 55 and 56: without what is kept, a reference is refused by its name."""
    with pytest.raises(InvalidRequest) as raised:
        RESPONSES.parse(CHAT, json.dumps({"model": "openai/gpt-5", **fields}).encode())
    assert raised.value.param == param
