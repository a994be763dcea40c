"""Recorded and invented replies as responses, read by OpenAI's SDK and by an independent reading, and back again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent

from tests.surfaces.responses.event_order import decoded, read
from tests.surfaces.responses.sdk_stream import accumulated
from tests.surfaces.responses.test_stream import chunk, request, streamed
from tidegate.chat.operation import CHAT
from tidegate.providers.openai_responses.messages import input_items
from tidegate.surfaces.late_dialects import RESPONSES

CASES = Path(__file__).parents[2] / "providers" / "cases"
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "auto"}}
EVENTS = {
    event.model_fields["type"].annotation.__args__[0]: event for event in get_args(get_args(ResponseStreamEvent)[0])
}
STAMP = {"id": "resp_7", "created": 1_700_000_000, "model": "m"}


def recordings() -> list[Any]:
    """The replies of all providers' cases, those of one choice, each as chunks or as a completion."""
    found: list[Any] = []
    for path in sorted(CASES.glob("*/*/reply.json")):
        reply = json.loads(path.read_text())
        chunks = reply if isinstance(reply, list) else [reply]
        choices = [choice for each in chunks for choice in each.get("choices", ())]
        if choices and all(choice["index"] == 0 for choice in choices):
            found.append(pytest.param(reply, id=f"{path.parent.parent.name}/{path.parent.name}"))
    return found


def texts(output: Sequence[Any], kind: str, part_kind: str, field: str = "text") -> str:
    parts = [part for item in output if item["type"] == kind for part in (item.get("content") or item.get("summary"))]
    return "".join(part[field] for part in parts if part["type"] == part_kind)


def calls(output: Sequence[Any]) -> list[tuple[str, str, str]]:
    return [(item["call_id"], item["name"], item["arguments"]) for item in output if item["type"] == "function_call"]


def said(chunks: Sequence[Any]) -> tuple[str, str, str, list[tuple[str, str, str]]]:
    """What a reply says, read independently: its text, refusal, reasoning and calls."""
    found: dict[str, str] = {"content": "", "refusal": "", "reasoning": ""}
    made: dict[int, dict[str, str]] = {}
    for each in chunks:
        for choice in each["choices"]:
            delta = choice["delta"] if "delta" in choice else choice["message"]
            for name in found:
                found[name] += delta.get(name) or ""
            for number, call in enumerate(delta.get("tool_calls") or ()):
                function = call.get("function") or call.get("custom")
                one = made.setdefault(call.get("index", number), {"id": "", "name": "", "arguments": ""})
                one["id"] = call.get("id") or one["id"]
                one["name"] = function.get("name") or one["name"]
                one["arguments"] += function.get("arguments") or function.get("input") or ""
    listed = [(one["id"], one["name"], one["arguments"] or "{}") for _, one in sorted(made.items())]
    return found["content"], found["refusal"], found["reasoning"], listed


@pytest.mark.parametrize("reply", recordings())
def test_every_recording_arrives_whole(reply: Any) -> None:
    if isinstance(reply, list):
        chunks = [{**each, **STAMP} for each in reply]
        stream = RESPONSES.open_stream(request())
        sent = b"".join([*(stream.events([each]) for each in chunks), stream.end()])
        end = read(sent).end
        for event in decoded(sent):
            EVENTS[event["type"]].model_validate(event)
        assert end is not None
        sdk = accumulated(sent)
        assert [item["id"] for item in sdk["output"]] == [item["id"] for item in end["output"]]
        assert texts(sdk["output"], "message", "output_text") == texts(end["output"], "message", "output_text")
    else:
        chunks = [reply]
        end = json.loads(RESPONSES.reply({**reply, **STAMP}, request()))
    Response.model_validate(end)
    content, refusal, reasoning, made = said(chunks)
    output = end["output"]
    assert texts(output, "message", "output_text") == content
    assert texts(output, "message", "refusal", "refusal") == refusal
    assert texts(output, "reasoning", "summary_text") == reasoning
    assert [call for call in calls(output) if call[0]] == [call for call in made if call[0]]
    usage = next((each["usage"] for each in reversed(chunks) if each.get("usage")), None)
    if usage is not None:
        assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (
            usage["prompt_tokens"],
            usage["completion_tokens"],
        )


_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_call = st.tuples(st.sampled_from(["get", "put"]), st.sampled_from(["{}", '{"a": 1}', '{"b":[2]}']))


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    """Messages of chat completions, each assistant's call with its result."""
    messages: list[Any] = [{"role": draw(st.sampled_from(["system", "developer"])), "content": draw(_text)}]
    for turn in range(draw(st.integers(1, 3))):
        content: Any = draw(st.one_of(_text, st.builds(lambda text: [{"type": "text", "text": text}, IMAGE], _text)))
        messages.append({"role": "user", "content": content})
        made = draw(st.lists(_call, max_size=2))
        text = draw(_text if not made else st.one_of(st.none(), _text))
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if made:
            message["tool_calls"] = [
                {"id": f"c{turn}_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
                for number, (name, arguments) in enumerate(made)
            ]
        messages.append(message)
        messages += [
            {"role": "tool", "tool_call_id": f"c{turn}_{number}", "content": draw(st.one_of(st.just(""), _text))}
            for number in range(len(made))
        ]
    return [*messages, {"role": "user", "content": draw(_text)}]


@given(conversations())
def test_messages_come_back_from_items_as_they_were(messages: list[Any]) -> None:
    body = {"model": "m", "input": input_items(messages, False)}
    parsed: Any = RESPONSES.parse(CHAT, json.dumps(body).encode())
    assert parsed.body["messages"] == messages


@given(st.lists(st.tuples(st.sampled_from(["reasoning", "content"]), _text), max_size=8))
def test_own_reasoning_comes_back_with_the_next_turn(deltas: list[tuple[str, str]]) -> None:
    """Pitfalls 41, 44 and 45: also where a reply thinks between its texts."""
    end = read(streamed(*(chunk({name: text}) for name, text in deltas), chunk({"content": "x"}))).end
    assert end is not None
    body = {"model": "m", "input": [*end["output"], {"role": "user", "content": "Go on"}]}
    parsed: Any = RESPONSES.parse(CHAT, json.dumps(body).encode())
    assistant = parsed.body["messages"][0]
    joined = "".join(text for name, text in deltas if name == "reasoning")
    assert (assistant.get("reasoning", ""), parsed.origin.ignored) == (joined, ())
    parts = assistant["content"]
    answer = parts if isinstance(parts, str) else "".join(part["text"] for part in parts)
    assert answer == "".join(text for name, text in deltas if name == "content") + "x"
