"""Chat → Messages → chat: what both dialects can say comes back as it was."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.chat.operation import CHAT
from tidegate.surfaces.late_dialects import MESSAGES

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=30)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS, lambda inner: st.lists(inner, max_size=2), max_leaves=4
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("reasoning.encrypted"), "data": WORDS, "format": st.just("openai-responses-v1")}
    ),
    max_size=2,
)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """The message of a completion, and its finish reason."""
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": draw(NAMES), "arguments": json.dumps(draw(ARGUMENTS))},
        }
        for number in range(draw(st.integers(0, 3)))
    ]
    text = draw(WORDS if not calls else st.none() | WORDS)
    reasoning, details = draw(st.none() | WORDS), draw(DETAILS)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reasoning:
        message |= {"reasoning": reasoning}
    if details:
        message |= {"reasoning_details": details}
    if calls:
        message |= {"tool_calls": calls}
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}


def sent_back(content: Any) -> Any:
    """The assistant's message of a request that has the reply's content as a turn."""
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call, "content": "r"} for call in calls]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results or "And?"},
    ]
    body = {"model": "m", "max_tokens": 5, "messages": turns, "thinking": {"type": "adaptive"}}
    return json.loads(json.dumps(MESSAGES.parse(CHAT, json.dumps(body).encode()).body["messages"]))[1]


def request() -> Any:
    body = {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "adaptive"},
    }
    return MESSAGES.parse(CHAT, json.dumps(body).encode())


def same(message: dict[str, Any], back: dict[str, Any]) -> None:
    assert (back.get("content") or None) == message["content"]
    assert back.get("reasoning") == message.get("reasoning")
    expected = message.get("reasoning_details")
    if expected is None and message.get("reasoning"):
        expected = [{"type": "reasoning.text", "text": message["reasoning"]}]
    assert back.get("reasoning_details") == expected
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in back.get("tool_calls", [])
    ]
    assert calls == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    ]


@given(completions())
def test_a_whole_reply_comes_back(choice: dict[str, Any]) -> None:
    reply = {"id": "msg_1", "model": "m", "choices": [choice]}
    written = json.loads(MESSAGES.reply(reply, request()))
    assert (
        written["stop_reason"]
        == {"tool_calls": "tool_use", "stop": "end_turn", "length": "max_tokens"}[choice["finish_reason"]]
    )
    same(choice["message"], sent_back(written["content"]))


@given(completions(), st.integers(1, 5))
def test_a_streamed_reply_comes_back(choice: dict[str, Any], step: int) -> None:
    stream = MESSAGES.open_stream(request())
    reply = {"id": "msg_1", "model": "m", "choices": [choice], "object": "chat.completion"}
    chunks: list[Any] = [{"id": "msg_1", "model": "m", **chunk} for chunk in CHAT.replay(reply)]
    parts = [stream.events(chunks[start : start + step]) for start in range(0, len(chunks), step)]
    same(choice["message"], sent_back(assembled(b"".join([*parts, stream.end()]))))


def assembled(body: bytes) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for part in body.decode().split("\n\n")[:-1]:
        event = json.loads(part.partition("\ndata: ")[2])
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(content)
                content.append(event["content_block"])
            case "content_block_delta":
                delta = event["delta"]
                for name in ("text", "thinking", "signature"):
                    if name in delta:
                        content[event["index"]][name] += delta[name]
                if "partial_json" in delta:
                    inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            case _:
                pass
    for index, text in inputs.items():
        content[index]["input"] = json.loads(text)
    return content
