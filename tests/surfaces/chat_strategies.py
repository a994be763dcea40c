"""Chat requests and completions at random, of what the Messages API and the Responses API can say too."""

import json
from typing import Any

from hypothesis import strategies as st

IMAGE: Any = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
SCHEMA: Any = {
    "type": "object",
    "properties": {"a": {"type": "string", "description": "An a."}},
    "required": ["a"],
    "additionalProperties": False,
}
FUNCTIONS: list[Any] = [
    {"name": "get", "description": "Get.", "parameters": SCHEMA, "strict": True},
    {"name": "put", "parameters": {"type": "object", "properties": {}}},
]
TOOLS: list[Any] = [{"type": "function", "function": function} for function in FUNCTIONS]
SIGNED = {"type": "reasoning.text", "signature": "c2lnbmVk", "format": "anthropic-claude-v1", "index": 0}

# Anthropic's API refuses texts without a letter, and one of the assistant's at the end that ends with a blank.
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Z", "C")), min_size=1, max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
_arguments = st.dictionaries(texts, _values, max_size=2).map(json.dumps)
_names = st.sampled_from(["get", "put"])


@st.composite
def tool_calls(draw: st.DrawFn, prefix: str) -> list[Any]:
    """The calls of one turn, which may be none."""
    made = draw(st.lists(st.tuples(_names, _arguments), max_size=2))
    return [
        {"id": f"{prefix}_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(made)
    ]


@st.composite
def conversations(draw: st.DrawFn, thinks: bool) -> list[Any]:
    """Messages of chat completions, each call with its result; with Anthropic's signed thinking if it `thinks`."""
    messages: list[Any] = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        parts = st.builds(lambda text: [{"type": "text", "text": text}, IMAGE], texts)
        messages.append({"role": "user", "content": draw(texts | parts)})
        calls = draw(tool_calls(f"call_{turn}"))
        message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | texts if calls else texts)}
        thought = draw(texts) if thinks else None
        message |= {"reasoning": thought, "reasoning_details": [{**SIGNED, "text": thought}]} if thought else {}
        messages.append(message | ({"tool_calls": calls} if calls else {}))
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(texts)} for call in calls]
    return [*messages, {"role": "user", "content": draw(texts)}]


@st.composite
def requests(draw: st.DrawFn, *, thinks: bool = False, **others: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A chat request. `others` are fields that one of the dialects alone has."""
    body: dict[str, Any] = {"model": "m", "messages": draw(conversations(thinks))}
    choices = st.sampled_from(["auto", "required", "none", {"type": "function", "function": {"name": "get"}}])
    if draw(st.booleans()):
        body |= {"tools": TOOLS, "tool_choice": draw(choices)}
        if body["tool_choice"] != "none" and draw(st.booleans()):
            body["parallel_tool_calls"] = False
    if draw(st.booleans()):
        json_schema = {"name": "answer", "schema": SCHEMA, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    if draw(st.booleans()):
        body["temperature"] = draw(st.sampled_from([0, 0.5, 1]))
    fields = {"max_completion_tokens": st.integers(16, 4_000), "user": st.just("user-1"), **others}
    return body | {name: draw(value) for name, value in fields.items()}


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """A completion with its counts, which may be a refusal, and may have reasoning."""
    calls = draw(tool_calls("call"))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": draw(st.none() | texts if calls else texts),
        "refusal": None,
    }
    reasoning = draw(st.none() | texts)
    message |= {"reasoning": reasoning, "reasoning_content": reasoning} if reasoning else {}
    message |= {"tool_calls": calls} if calls else {}
    if message["content"] and draw(st.booleans()):
        cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": len(message["content"])}
        message["annotations"] = [{"type": "url_citation", "url_citation": cited}]
    finish = draw(st.sampled_from(["tool_calls", "length"] if calls else ["stop", "length", "content_filter"]))
    # The first event of a message estimates the prompt, and readers of Anthropic's events keep the larger count.
    prompt, cached, answer = draw(st.integers(30, 90)), draw(st.integers(0, 50)), draw(st.integers(1, 50))
    usage = {
        "prompt_tokens": prompt + cached,
        "completion_tokens": answer,
        "total_tokens": prompt + cached + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    stamp = {"id": "resp_1", "object": "chat.completion", "created": 1_700_000_000, "model": "m"}
    return {**stamp, "choices": [choice], "usage": usage}
