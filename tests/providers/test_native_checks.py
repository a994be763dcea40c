"""Requests that must not go on as they are: what only their own dialect's body has, and no check would see."""

from typing import Any

import pytest

from tidegate.providers.native_checks import may_pass

FOREIGN = "file_of_another_workspace"
IMAGE = {"type": "image", "source": {"type": "file", "file_id": FOREIGN}}
DOCUMENT = {"type": "document", "source": {"type": "content", "content": [IMAGE]}}


def messages(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*content]}]}


def with_tools(*tools: Any) -> dict[str, Any]:
    return {"input": [{"type": "additional_tools", "tools": [*tools]}]}


@pytest.mark.parametrize(
    "body",
    [
        messages(DOCUMENT),
        messages({"type": "tool_result", "tool_use_id": "t", "content": [DOCUMENT]}),
        messages({"type": "container_upload", "file_id": FOREIGN}),
        {"system": [IMAGE], "messages": []},
        {"input": [{"type": "message", "content": [{"type": "input_file", "file_id": FOREIGN}]}]},
        with_tools({"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_other"}}),
        {"input": [], "billing_policy": {"bill_to": "user_profile"}},
        {"input": [], "user_profile_id": "other"},
    ],
)
def test_what_belongs_to_the_gateways_account_is_found_at_any_depth(body: dict[str, Any]) -> None:
    assert not may_pass(body, owns_account=False)


@pytest.mark.parametrize(
    "body",
    [
        with_tools({"type": "image_generation"}),
        with_tools({"type": "code_interpreter", "container": {"type": "auto"}}),
        with_tools({"type": "namespace", "name": "n", "tools": [{"type": "mcp", "server_url": "https://x.example"}]}),
        {"input": [{"type": "tool_search_output", "tools": [{"type": "file_search"}]}]},
        {"tools": [{"type": "shell", "environment": {"type": "container_auto", "memory_limit": "64g"}}]},
        {"input": [], "plugins": [{"id": "web"}]},
        {"tools": [{"type": "x_search"}], "user_profile_id": "own"},
    ],
)
def test_tools_that_cost_money_are_found_in_items_even_with_an_own_account(body: dict[str, Any]) -> None:
    assert not may_pass(body, owns_account=True)


@pytest.mark.parametrize(
    "body",
    [
        messages({"type": "text", "text": "file_id"}, {"type": "brand_new", "data": {"a": 1}}),
        messages({"type": "tool_use", "id": "t", "name": "read", "input": {"file_id": FOREIGN}}),
        {"tools": [{"name": "read", "input_schema": {"properties": {"file_id": {"type": "string"}}}}], "messages": []},
        {"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "web_search_20250305"}], "messages": []},
        with_tools({"type": "function", "name": "f", "parameters": {"file_id": {}}}, {"type": "custom", "name": "c"}),
        {"tools": [{"type": "shell", "environment": {"type": "local"}}], "input": "Hi"},
        {"input": [{"type": "mcp_list_tools", "tools": [{"name": "a", "input_schema": {}}]}]},
        {"input": [{"type": "function_call", "name": "f", "arguments": '{"file_id": "x"}', "call_id": "c"}]},
    ],
)
def test_what_is_the_callers_own_goes_on(body: dict[str, Any]) -> None:
    assert may_pass(body, owns_account=False)


@pytest.mark.parametrize("kind", ["code_interpreter", "x_search", "code_execution_20250825", "mcp", "new_in_2030"])
def test_a_tool_of_unknown_price_goes_on_only_if_the_operator_allows_it(kind: str) -> None:
    body = {"tools": [{"type": kind}]}
    assert not may_pass(body, owns_account=True)
    assert may_pass(body, owns_account=True, allowed={f"tools.{kind}"})


def test_a_workspace_with_its_own_account_may_use_its_files() -> None:
    assert may_pass(messages(DOCUMENT), owns_account=True)
