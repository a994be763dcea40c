"""Requests of every dialect and operation besides chat completions, with most of what these can say, and replies."""

from typing import Any

from tidegate.api.app import COUNTS, ENDPOINTS

_IMAGE = "data:image/png;base64,iVBORw0KGgo="
_SCHEMA: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_OURS = "tg1.eyJ0eXBlIjoi"
"""How a signature of the gateway's begins, without the rest."""

_BLOCKS: list[Any] = [
    {"type": "text", "text": "Look.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A"}, "title": "T"},
    {"type": "search_result", "source": "s", "title": "T", "content": [{"type": "text", "text": "A"}]},
]
_MESSAGES: list[Any] = [
    {
        "model": "openai/gpt-4.1-mini",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": _BLOCKS},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": _OURS},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "text", "text": "I look.", "citations": [{"type": "char_location", "cited_text": "A"}]},
                    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}},
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "srvtoolu_1",
                        "content": [{"type": "web_search_result", "url": "https://a.example", "title": "A"}],
                    },
                    {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": "b"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": _BLOCKS[1:], "is_error": True},
                    {"type": "text", "text": "Go on."},
                ],
            },
            {"role": "system", "content": "A reminder."},
        ],
        "tools": [
            {"name": "get", "description": "Get.", "input_schema": _SCHEMA, "strict": True, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": _SCHEMA}},
        "metadata": {"user_id": '{"session_id": "a"}'},
        "context_management": {"edits": []},
        "stop_sequences": ["END"],
        "top_k": 5,
    },
    {
        "model": "anthropic/claude-sonnet-4-5",
        "max_tokens": 2_000,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 1_024},
        "tools": [{"name": "get", "input_schema": _SCHEMA}],
        "stream": True,
    },
]

RESPONSE_ITEMS: list[Any] = [
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Look."},
            {"type": "input_image", "image_url": _IMAGE, "detail": "low"},
            {"type": "input_file", "file_data": "data:text/plain;base64,QQ==", "filename": "a.txt"},
        ],
    },
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": _OURS,
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "I do.", "annotations": []}],
    },
    {"type": "function_call", "call_id": "c1", "name": "get", "arguments": '{"a": "b"}'},
    {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
    {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
    {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "delete_file", "path": "a"}},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": _IMAGE}]},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "Done"},
    {"type": "local_shell_call_output", "id": "c3", "output": "a"},
    {"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "a", "outcome": {"type": "timeout"}}]},
    {"type": "apply_patch_call_output", "call_id": "c5", "status": "failed", "output": "No"},
    {"type": "agent_message", "author": "/a", "recipient": "/b", "content": [{"type": "input_text", "text": "Go"}]},
    {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]},
    {"role": "developer", "content": "Be brief."},
]
"""Items of the Responses API."""

_RESPONSES_TOOLS: list[Any] = [
    {"type": "function", "name": "get", "parameters": _SCHEMA, "strict": True},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}},
    {"type": "namespace", "name": "git", "tools": [{"type": "function", "name": "log"}]},
    *({"type": kind} for kind in ("local_shell", "shell", "apply_patch", "tool_search")),
    {"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["a.example"]}},
    {"type": "mcp", "server_label": "m", "server_url": "https://a.example"},
]
_RESPONSES: list[Any] = [
    {
        "model": "mistral/mistral-small-latest",
        "instructions": "Be brief.",
        "input": RESPONSE_ITEMS,
        "tools": _RESPONSES_TOOLS,
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get"}]},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": _SCHEMA}, "verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": True,
    },
    {"model": "openai/gpt-5", "input": RESPONSE_ITEMS, "tools": _RESPONSES_TOOLS, "parallel_tool_calls": False},
    {"model": "openai/gpt-5", "input": "Hi", "previous_response_id": "resp_1", "metadata": {"a": "b"}},
    {"model": "anthropic/claude-sonnet-4-5", "input": [{"type": "item_reference", "id": "msg_1"}], "stream": True},
    {"model": "anthropic/claude-sonnet-4-5", "input": "Hi", "conversation": {"id": "conv_1"}, "background": False},
]
_COMPLETIONS: list[Any] = [
    {
        "model": "openai/gpt-4.1-mini",
        "prompt": "Once",
        "suffix": ".",
        "max_tokens": 5,
        "logprobs": 2,
        "echo": True,
        "best_of": 1,
        "stop": ["\n"],
        "stream": True,
    },
    {"model": "mistral/mistral-small-latest", "prompt": ["Once"], "n": 2, "temperature": 0.5},
    {"model": "openai/gpt-4.1-mini", "prompt": [1, 2, 3]},
]
_OLLAMA: list[Any] = [
    {
        "model": "openai/gpt-4.1-mini",
        "messages": [
            {"role": "user", "content": "Hi", "images": ["iVBORw0KGgo="]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get", "arguments": {"a": 1}}}]},
            {"role": "tool", "content": "42", "tool_name": "get"},
        ],
        "tools": [{"type": "function", "function": {"name": "get", "parameters": _SCHEMA}}],
        "format": _SCHEMA,
        "think": "high",
        "options": {"temperature": 0.5, "num_predict": 5, "stop": ["a"]},
        "stream": False,
    },
]
_GENERATE: list[Any] = [
    {
        "model": "openai/gpt-4.1-mini",
        "prompt": "Hi",
        "system": "Be brief.",
        "images": ["iVBORw0KGgo="],
        "format": _SCHEMA,
        "think": True,
        "options": {"temperature": 0.5, "num_predict": 5},
        "stream": False,
    },
    {"model": "openai/gpt-4.1-mini", "prompt": "Hi"},
]
_EMBED: list[Any] = [
    {"model": "openai/text-embedding-3-small", "input": ["tide", "gate"], "dimensions": 8, "truncate": True},
    {"model": "mistral/mistral-embed", "input": "tide", "keep_alive": "5m", "options": {"num_ctx": 5}},
]
_EMBEDDINGS: list[Any] = [
    {"model": model, "input": texts, "dimensions": 8, "encoding_format": encoding, "input_type": "query", "user": "u"}
    for model in ("openai/text-embedding-3-small", "cohere/embed-v4.0", "gemini/gemini-embedding-001", "mistral/m")
    for texts, encoding in (("tide", "float"), (["tide", "gate"], "base64"), ([[1, 2], [3]], "float"))
]
_RERANK: list[Any] = [
    {
        "model": model,
        "query": "tide",
        "documents": ["A gate.", {"text": "A fish."}],
        "top_n": 1,
        "return_documents": True,
    }
    for model in ("cohere/rerank-v3.5", "bedrock/cohere.rerank-v3-5:0", "openrouter/cohere/rerank-v3.5")
]
_MODERATIONS: list[Any] = [
    {"model": "openai/omni-moderation-latest", "input": ["a", "b"]},
    {"model": "openai/omni-moderation-latest", "input": [{"type": "image_url", "image_url": {"url": _IMAGE}}]},
    {"model": "mistral/mistral-moderation-latest", "input": "a"},
]

_BODIES = {
    "messages": _MESSAGES,
    "responses": _RESPONSES,
    "compaction": _RESPONSES,
    "completions": _COMPLETIONS,
    "ollama": _OLLAMA,
    "ollama_generate": _GENERATE,
    "ollama_embed": _EMBED,
    "embeddings": _EMBEDDINGS,
    "rerank": _RERANK,
    "moderations": _MODERATIONS,
}
"""Requests by the name of the dialect: see `name_of`."""

TEXT_REPLIES: dict[str, list[Any]] = {
    "embeddings": [
        {
            "data": [{"index": 1, "embedding": [0.5]}, {"index": 0, "embedding": "AAAAPw=="}],
            "usage": {"total_tokens": 9},
        },
        {"embeddings": {"float": [[0.5], [1e-9]]}, "meta": {"billed_units": {"input_tokens": 2}}},
        {"embeddings": [{"values": [0.5]}, {"values": [1]}], "usageMetadata": {"promptTokenCount": 2}},
    ],
    "rerank": [
        {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
        {"data": [{"index": 1, "relevance_score": 1}], "usage": {"total_tokens": 3}},
    ],
    "moderations": [
        {"results": [{"flagged": True, "categories": {"a": True}, "category_scores": {"a": 0.5}}]},
        {"results": [{"categories": {"a": True}, "category_scores": {"a": 0.5}}], "usage": {"prompt_tokens": 3}},
    ],
}
TEXT_REPLIES["ollama_embed"] = TEXT_REPLIES["embeddings"]
"""Replies of providers by the name of the dialect."""


def name_of(path: str) -> str:
    """The name of a path's operation, or of its surface for a chat and for Ollama; OpenAI's for all other paths."""
    surface, operation = (ENDPOINTS | COUNTS).get(path, ENDPOINTS["/v1/chat/completions"])
    return surface.name if operation.name == "chat" or surface.name.startswith("ollama") else operation.name


def bodies_of(path: str) -> list[Any]:
    """Requests of the path's dialect; none for the paths of chat completions."""
    return _BODIES.get(name_of(path), [])
