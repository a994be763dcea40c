"""Calls, answers and streams for the tests of guardrails, and somebody to ask."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.operation import CHAT
from tidegate.chat.request import build_chat_request
from tidegate.domain.call import Call
from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import GuardrailUnavailable
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.surfaces.openai import OPENAI

NOW = 1_700_000_000.0


def call(content: Any = "Hello.", *own: Guardrail, **fields: Any) -> Call:
    """A call whose user says `content`, of a workspace with those guardrails."""
    messages = content if isinstance(content, list) and "role" in content[0] else [{"role": "user", "content": content}]
    request = build_chat_request({"model": "openai/m", "messages": messages, **fields})
    workspace = Workspace("ws_test", "Test", guardrails=own)
    return Call("01CALL", OPENAI, CHAT, request, Principal("key", ("ws_test",)), workspace, NOW, NOW + 60)


def guard(given: Call, *configured: Guardrail, judge: "Judge | None" = None) -> Guard:
    found = GuardrailSelection(configured, (lambda: judge) if judge else None, lambda: NOW).for_call(given)
    assert found is not None
    return found


def completion(*messages: dict[str, Any]) -> Completion:
    made: Any = {
        "object": "chat.completion",
        "system_fingerprint": None,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": None, "refusal": None, **message},
                "finish_reason": "stop",
                "logprobs": None,
            }
            for index, message in enumerate(messages)
        ],
    }
    return made


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **fields: Any) -> Chunk:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    made: Any = {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **fields}
    return made


async def batches(*chunks: Chunk) -> AsyncIterator[list[Chunk]]:
    for each in chunks:
        yield [each]


async def streamed(given: Guard, *chunks: Chunk) -> list[Chunk]:
    return [each async for batch in given.check_stream(batches(*chunks)) for each in batch]


def said(chunks: Sequence[Chunk], name: str = "content", index: int = 0) -> str:
    """All that a choice says under that name."""
    deltas: list[Any] = [one["delta"] for each in chunks for one in each["choices"] if one["index"] == index]
    return "".join(delta.get(name) or "" for delta in deltas)


@dataclass
class Judge:
    """The port, whose answer the test gives; `asked` is what it was asked."""

    answer: Callable[[GuardrailQuery], Verdict] | None = None
    asked: list[GuardrailQuery] = field(default_factory=list[GuardrailQuery])

    async def judge(self, guardrail: Guardrail, question: GuardrailQuery) -> Verdict:
        self.asked.append(question)
        if self.answer is None:
            raise GuardrailUnavailable(f"The guardrail {guardrail.name!r} does not answer.")
        return self.answer(question)
