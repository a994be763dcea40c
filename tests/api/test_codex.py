"""Codex's list of models, its websocket probe, and Cursor's requests at the path of chat completions."""

from typing import Any

from tests.world import streams, world

ENV = {"OPENAI_API_KEY": "not-a-key-openai", "ANTHROPIC_API_KEY": "not-a-key-anthropic"}


async def test_the_list_of_models_is_codexs_if_it_asks() -> None:
    async with world(**ENV) as client:
        listed = (await client.get("/v1/models?client_version=0.171.0")).json
        at_the_root = (await client.get("/models?client_version=0.171.0")).json
        usual = (await client.get("/v1/models")).json
    by_slug: dict[str, Any] = {model["slug"]: model for model in listed["models"]}
    claude = by_slug["anthropic/claude-sonnet-4-5"]
    assert (claude["context_window"], claude["default_reasoning_level"], claude["apply_patch_tool_type"]) == (
        200_000,
        "medium",
        "freeform",
    )
    assert "reasoning" not in by_slug["openai/gpt-4.1-mini"]["supported_reasoning_levels"]
    assert claude["base_instructions"].startswith("You are a coding agent")
    assert (at_the_root, "data" in usual) == (listed, True)


async def test_a_websocket_is_refused_at_once() -> None:
    probe = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    async with world(**ENV) as client:
        replies = [await client.get(path, **probe) for path in ("/v1/responses", "/responses")]
        plain = await client.get("/v1/responses")
    assert [reply.status for reply in (*replies, plain)] == [426, 426, 405]
    assert "websockets" in replies[0].json["error"]["message"]


async def test_cursor_gets_chunks_for_a_request_of_the_responses_api() -> None:
    body = {
        "model": "mistral/mistral-small-latest",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello tide"}]}],
        "tools": [{"type": "function", "name": "edit", "parameters": {"type": "object", "properties": {}}}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    async with world(streams({**chunk, "choices": [choice], "usage": usage})) as client:
        reply = await client.post(body)
        refused = await client.post({"model": body["model"]})
    first, *_, last, done = reply.events
    assert (reply.status, first["object"], "usage" in last, done) == (200, "chat.completion.chunk", True, "[DONE]")
    assert (refused.status, refused.json["error"]["param"]) == (400, "messages")
