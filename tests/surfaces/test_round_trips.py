"""Chat → Messages or Responses → chat, requests and replies: nothing is lost that both can say."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.providers.calls import call
from tests.providers.streams import translated
from tests.surfaces.chat_strategies import completions, requests
from tidegate.chat.assemble import CompletionAssembler
from tidegate.chat.operation import CHAT
from tidegate.domain.deployment import Deployment
from tidegate.domain.surface import Surface
from tidegate.providers import Registry
from tidegate.providers.base import StreamTranslator
from tidegate.providers.openai.provider import OpenAI
from tidegate.providers.openai_responses import completion as response_reader
from tidegate.providers.openai_responses import request as response_writer
from tidegate.providers.openai_responses import stream as response_stream
from tidegate.surfaces.late_dialects import MESSAGES, RESPONSES
from tidegate.upstream.sse import SseDecoder

ANTHROPIC = Registry().load("anthropic")
OPENAI = Registry().load("openai")


def meant(message: Any) -> Any:
    """What a message means: its role, its parts with joined texts, its calls, whose result it is, and its thinking."""
    content = message.get("content") or []
    parts: list[Any] = []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "image_url":
            parts.append(part["image_url"]["url"])
        elif parts and parts[-1][0] == "text":
            parts[-1] = ("text", parts[-1][1] + part["text"])
        else:
            parts.append(("text", part["text"]))
    calls = [
        (each["id"], each["function"]["name"], json.loads(each["function"]["arguments"]))
        for each in message.get("tool_calls", ())
    ]
    thoughts = [(each.get("text"), each.get("signature")) for each in message.get("reasoning_details") or ()]
    return message["role"], parts, calls, message.get("tool_call_id"), thoughts


def named(body: dict[str, Any]) -> dict[str, Any]:
    """The request in one of several equal forms."""
    fields = {name: value for name, value in json.loads(json.dumps(body)).items() if value is not None}
    limit = fields.pop("max_tokens", None) or fields.pop("max_completion_tokens", None)
    effort = fields.pop("reasoning_effort", None) or fields.pop("reasoning", {}).get("effort")
    for tool in fields.get("tools", ()):
        tool["function"] = {"strict": False, **tool["function"]}
    if fields.get("tool_choice") == "auto":
        del fields["tool_choice"]
    fields |= {"limit": limit, "effort": effort, "messages": [meant(each) for each in fields["messages"]]}
    return {name: value for name, value in fields.items() if name not in ("model", "thinking")}


def came_back(surface: Surface, sent: Any, body: dict[str, Any]) -> None:
    request = surface.parse(CHAT, json.dumps(sent).encode())
    assert request.origin is not None
    assert (request.origin.ignored, dict(request.origin.refusals)) == ((), {})
    assert named(dict(request.body)) == named(body)


@given(requests(thinks=True, stop=st.just(["END"]), reasoning_effort=st.sampled_from([None, "low", "high"])))
def test_a_request_comes_back_from_a_message(body: dict[str, Any]) -> None:
    deployment = Deployment("anthropic", "claude-opus-4-6", "https://host.invalid")
    if body["reasoning_effort"] is not None:
        body.pop("temperature", None)  # a model that thinks takes none
    built = ANTHROPIC.build_request(call(body), deployment)
    assert built.ignored == ()
    came_back(MESSAGES, json.loads(built.body), body)


@given(
    requests(
        metadata=st.just({"a": "b"}),
        verbosity=st.sampled_from([None, "low"]),
        reasoning_effort=st.sampled_from([None, "low", "high"]),
    )
)
def test_a_request_comes_back_from_a_response(body: dict[str, Any]) -> None:
    assert isinstance(OPENAI, OpenAI)
    if body["reasoning_effort"] is not None:
        body.pop("temperature", None)  # a model that reasons takes none
    built = response_writer.build(call(body), "gpt-5.2", OPENAI.row.quirks)
    assert list(built.ignored) == []
    came_back(RESPONSES, built.body, body)


def said(completion: Any) -> Any:
    """What a completion says: its text, reasoning, calls, citations and end, and what it counts."""
    choice = completion["choices"][0]
    role, parts, calls, *_ = meant(choice["message"])
    usage, details = completion["usage"], completion["usage"].get("prompt_tokens_details") or {}
    counts = (usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens", 0))
    pages = [each["url_citation"] for each in choice["message"].get("annotations", ())]
    names = ("url", "title", "start_index", "end_index")
    cited = [tuple(page.get(name) for name in names) for page in pages]
    return role, parts, choice["message"].get("reasoning"), calls, cited, choice["finish_reason"], counts


def request(surface: Surface, **fields: Any) -> Any:
    return surface.parse(CHAT, json.dumps({"model": "m", **fields}).encode())


ASKED = {
    "messages": request(
        MESSAGES, messages=[{"role": "user", "content": "Hi"}], max_tokens=5, thinking={"type": "adaptive"}
    ),
    "responses": request(RESPONSES, input="Hi"),
}


def streamed(surface: Surface, completion: Any, step: int, translator: StreamTranslator) -> Any:
    """The completion that a provider's translator makes of the events of its chunks."""
    stream = surface.open_stream(ASKED[surface.name])
    chunks: Sequence[Any] = CHAT.replay(completion)
    batches = [chunks[start : start + step] for start in range(0, len(chunks), step)]
    decoder, assembler = SseDecoder(), CompletionAssembler()
    events = decoder.feed(b"".join([*map(stream.events, batches), stream.end()]))
    for batch in translated(translator, [events]):
        for chunk in batch:
            assembler.add(chunk)
    return assembler.reply()


@given(completions(), st.integers(1, 5))
def test_a_completion_comes_back_from_a_message(completion: Any, step: int) -> None:
    whole = json.loads(MESSAGES.reply(completion, ASKED["messages"]))
    assert said(ANTHROPIC.parse_completion(whole)) == said(completion)
    assert said(streamed(MESSAGES, completion, step, ANTHROPIC.new_stream())) == said(completion)


@given(completions(), st.integers(1, 5))
def test_a_completion_comes_back_from_a_response(completion: Any, step: int) -> None:
    whole = json.loads(RESPONSES.reply(completion, ASKED["responses"]))
    assert said(response_reader.parse("openai", whole)) == said(completion)
    assert said(streamed(RESPONSES, completion, step, response_stream.new_stream("openai"))) == said(completion)
